"""The commit protocol: the order of its steps, and what is left when one of them fails."""

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.commit import (
    checksum,
    commit_file,
    file_checksum,
    make_directories,
    sweep_temporary_files,
    write_file,
)
from store.errors import StoreWriteError


def _kind(descriptor: int) -> str:
    return "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The system calls that matter, in the order in which they are made; none is held back."""
    seen: list[str] = []
    write, fsync, replace, mkdir = os.write, os.fsync, Path.replace, Path.mkdir

    def spy(label: Callable[..., str], real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            seen.append(label(*args))
            return real(*args, **kwargs)

        return call

    monkeypatch.setattr(os, "write", spy(lambda *_: "write", write))
    monkeypatch.setattr(os, "fsync", spy(lambda descriptor: f"fsync {_kind(descriptor)}", fsync))
    monkeypatch.setattr(Path, "replace", spy(lambda *_: "rename", replace))
    monkeypatch.setattr(Path, "mkdir", spy(lambda path, *_: f"mkdir {path.name}", mkdir))
    return seen


def test_the_file_is_synced_before_its_rename_and_the_directory_after(
    tmp_path: Path, steps: list[str]
) -> None:
    write_file(tmp_path / "a.json", b"new")
    assert steps == ["write", "fsync file", "rename", "fsync directory"]
    assert (tmp_path / "a.json").read_bytes() == b"new"


def test_every_new_directory_is_synced_into_its_parent(tmp_path: Path, steps: list[str]) -> None:
    make_directories(tmp_path / "one" / "two")
    assert steps == ["mkdir one", "fsync directory", "mkdir two", "fsync directory"]


def test_what_is_synced_is_the_directory_that_holds_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced.append((status.st_dev, status.st_ino))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    path = tmp_path / "deep" / "er" / "a.json"
    write_file(path, b"new")
    expected = [tmp_path, tmp_path / "deep", path, path.parent]
    assert synced == [(entry.stat().st_dev, entry.stat().st_ino) for entry in expected]


@settings(deadline=None)
@given(data=st.binary(max_size=200), at_once=st.integers(1, 7))
def test_short_writes_are_gone_on_with(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, at_once: int
) -> None:
    path = tmp_path_factory.mktemp("short") / "a"
    real = os.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, view: real(descriptor, view[:at_once]))
        write_file(path, data)
    assert path.read_bytes() == data


def _failing(code: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
def test_a_step_that_fails_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path if step == "replace" else os, step, _failing(code))
    with pytest.raises(StoreWriteError) as raised:
        write_file(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
    message = str(raised.value)
    assert message.startswith(f"could not write {path}: {os.strerror(code)}. ")
    assert message.endswith("run the same command again.")
    assert raised.value.__cause__ is not None


def test_a_disk_that_fills_up_in_the_middle_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    real, room = os.write, [4]

    def write(descriptor: int, view: memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= 1
        return real(descriptor, view[:1])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StoreWriteError, match="No space left"):
        write_file(path, b"new and longer")
    monkeypatch.undo()
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {"a.json": b"old"}


def test_a_failed_fsync_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def fsync(descriptor: int) -> None:
        calls.append(_kind(descriptor))
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreWriteError):
        write_file(tmp_path / "a", b"new")
    assert calls == ["file"]
    assert not (tmp_path / "a").exists()


def test_a_directory_that_cannot_be_synced_is_not_reported_as_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rename has happened by then, so the new file may be there; it is whole, but it is not promised."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if _kind(descriptor) == "directory":
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreWriteError):
        write_file(path, b"new")
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {"a": b"new"}


def test_a_file_in_the_way_of_a_directory_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "spaces").write_bytes(b"a file")
    with pytest.raises(StoreWriteError, match=r"could not write .*recipe\.json: "):
        write_file(tmp_path / "spaces" / "x" / "recipe.json", b"{}")
    assert (tmp_path / "spaces").read_bytes() == b"a file"


@settings(deadline=None)
@given(data=st.binary(max_size=300))
def test_the_name_of_a_committed_file_is_its_checksum(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    directory = tmp_path_factory.mktemp("commit")
    path = commit_file(directory, "000007-abcdef01", ".h5", data)
    assert path.parent == directory
    assert path.name == f"000007-abcdef01-{file_checksum(data)}.h5"
    assert file_checksum(path.read_bytes()) == path.stem.rpartition("-")[2]


def test_the_checksum_is_blake2b_128() -> None:
    """As `b2sum -l 128` says it, so that a store can be checked without embank."""
    assert checksum(b"") == "cae66941d9efbd404e4d88758ea67670"
    assert checksum(b"abc") == "cf4ab791c62b8d2b2109c90275287816"


_LEAVE_TEMPORARY = """
import os, sys
from pathlib import Path
from store.commit import write_file
Path.replace = lambda self, target: os._exit(0)
write_file(Path(sys.argv[1]) / "a", b"half")
"""


def _temporary_of_a_dead_writer(directory: Path) -> Path:
    """What a writer leaves that dies between its write and its rename."""
    before = set(directory.iterdir())
    subprocess.run([sys.executable, "-c", _LEAVE_TEMPORARY, str(directory)], check=True)
    (left,) = set(directory.iterdir()) - before
    return left


def test_a_sweep_removes_what_dead_writers_of_this_machine_left_and_nothing_else(tmp_path: Path) -> None:
    dead = _temporary_of_a_dead_writer(tmp_path)
    machine = dead.name.split("-")[1]
    kept = [
        f".tmp-{machine}-{os.getpid()}-00000000",  # a writer that lives
        f".tmp-{machine}-{os.getppid()}-00000000",
        f".tmp-{'0' * 8}-{dead.name.split('-')[2]}-00000000",  # a process of another machine
        f".tmp-{machine}-x-00000000",
        f"{dead.name}.h5",
        "recipe.json",
    ]
    for name in kept:
        (tmp_path / name).write_bytes(b"")
    assert sweep_temporary_files(tmp_path) == 1
    assert {entry.name for entry in tmp_path.iterdir()} == set(kept)
    assert sweep_temporary_files(tmp_path) == 0
    assert sweep_temporary_files(tmp_path / "absent") == 0


def test_a_temporary_of_another_machine_is_swept_when_it_is_days_old(tmp_path: Path) -> None:
    foreign = tmp_path / f".tmp-{'0' * 8}-1-00000000"
    foreign.write_bytes(b"")
    status = foreign.stat()
    os.utime(foreign, (status.st_atime, status.st_mtime - 2 * 24 * 3600))
    assert sweep_temporary_files(tmp_path) == 1


_WRITE_FOR_EVER = """
import sys
from pathlib import Path
from store.commit import write_file
number = 0
while True:
    number += 1
    write_file(Path(sys.argv[1]) / "a", number.to_bytes(4, "big") * 20_000)
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    for acknowledgements in (1, 7, 20):
        command = [sys.executable, "-c", _WRITE_FOR_EVER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(acknowledgements):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            acknowledged = [acknowledgements, *map(int, writer.stdout.read().split())]
        data = (tmp_path / "a").read_bytes()
        number = int.from_bytes(data[:4], "big")
        assert data == number.to_bytes(4, "big") * 20_000
        assert number >= acknowledged[-1]
        sweep_temporary_files(tmp_path)
        assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
