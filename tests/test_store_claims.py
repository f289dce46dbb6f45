"""Claims: one living writer has a unit, a dead one's expires, and no trouble with them stops a writer."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from store.claims import EXPIRES_S, Claims
from store.processes import this_machine

NOBODY = 2**22 + 1  # no process has this number


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    return Claims(tmp_path, "photos", ["A-1", "B-2"])


def files(store: Path) -> list[str]:
    return sorted(path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file())


def test_a_unit_is_claimed_once_until_it_is_released(tmp_path: Path, claims: Claims) -> None:
    other = Claims(tmp_path, "photos", ["A-1", "B-2"])
    assert claims.take("first")
    assert not other.take("first")
    assert other.take("second")
    claims.release("first")
    assert other.take("first")


def test_one_space_in_common_is_enough(tmp_path: Path, claims: Claims) -> None:
    other = Claims(tmp_path, "photos", ["B-2", "C-3"])
    assert claims.take("first")
    assert not other.take("first")
    assert not [name for name in files(tmp_path) if "C-3" in name]  # what it had taken, it gave back
    assert Claims(tmp_path, "photos", ["C-3"]).take("first")
    assert Claims(tmp_path, "others", ["B-2"]).take("first")


def test_the_end_releases_all(tmp_path: Path, claims: Claims) -> None:
    with claims:
        assert claims.take("first")
        assert claims.take("second")
        assert len(files(tmp_path)) == 4
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("writer", "age", "free"),
    [
        ("here self", 0.0, False),
        ("here self", 2 * EXPIRES_S, True),  # it has this number by accident, or hangs
        ("here nobody", 0.0, True),
        ("else nobody", 0.0, False),
        ("else nobody", EXPIRES_S - 10, False),
        ("else nobody", EXPIRES_S + 10, True),
        ("else nobody", -2 * EXPIRES_S, True),  # of the future: nobody knows when it would expire
        (f"here {10**30}", 0.0, True),  # no number of a process at all
        ("", 0.0, False),  # just made, and not yet written
        ("nonsense", 0.0, False),
    ],
)
def test_a_dead_writer_s_claim_expires(
    tmp_path: Path, claims: Claims, writer: str, age: float, free: bool
) -> None:
    for name, value in {"here": this_machine(), "self": os.getpid(), "nobody": NOBODY}.items():
        writer = writer.replace(name, str(value))
    claim = tmp_path / "cache" / "claims" / "A-1" / "photos" / "first.0"
    claim.parent.mkdir(parents=True)
    claim.write_text(writer)
    os.utime(claim, (time.time() - age, time.time() - age))
    assert claims.take("first") == free
    if free:
        assert not Claims(tmp_path, "photos", ["A-1"]).take("first")
        claims.release("first")
        assert files(tmp_path) == []


def test_a_heartbeat_keeps_a_claim_alive(
    tmp_path: Path, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.claims.HEARTBEAT_S", 0.01)
    with claims:
        assert claims.take("first")
        path = tmp_path / files(tmp_path)[0]
        os.utime(path, (1, 1))
        deadline = time.monotonic() + 30
        while path.stat().st_mtime < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 2


def test_of_many_who_follow_a_dead_writer_one_does(tmp_path: Path) -> None:
    claim = tmp_path / "cache" / "claims" / "A-1" / "photos" / "first.0"
    claim.parent.mkdir(parents=True)
    claim.write_text(f"{this_machine()} {NOBODY}")
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: Claims(tmp_path, "photos", ["A-1"]).take("first"), range(64)))
    assert sum(taken) == 1


@pytest.mark.parametrize("place", ["cache", "cache/claims/A-1", "cache/claims/A-1/photos"])
def test_a_claim_that_cannot_be_written_stops_nobody(tmp_path: Path, claims: Claims, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text("no folder")
    with claims:
        assert claims.take("first")
        claims.release("first")
