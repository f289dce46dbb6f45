"""`embank doctor`: one line a finding, with what to do; exit 1 if anything is wrong."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from embank import installation
from embedder.checkup import EngineCheck
from embedder.machine import processor_features, processor_name

if TYPE_CHECKING:
    from tests.conftest import Embank

SOUND = EngineCheck("keras", "float32", "keras 3", 1.0, 0.5, None)
UNABLE = EngineCheck("openvino", "bfloat16", None, None, 0.1, "this processor has no bfloat16 arithmetic")
BROKEN = EngineCheck("openvino", "float32", "openvino 1", 0.5, 0.1, "its vectors do not agree")


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[EngineCheck]:
    """What the engines are found to be."""
    found = [SOUND]
    monkeypatch.setattr("embedder.checkup.run_checks", lambda: found)
    return found


def test_a_sound_installation(embank: Embank, checks: list[EngineCheck]) -> None:
    checks.append(UNABLE)  # nobody has to have bfloat16
    ran = embank("doctor")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert {line[:5].strip() for line in lines[:-1]} <= {"ok", "note"}
    for about in ("embank", "libraries", "processor", "cache", "temporary files", "weights", "engines"):
        assert any(line[7:].startswith(f"{about}: ") for line in lines), about
    assert "numpy 2" in ran.out
    assert "keras 3, agrees with Keras in float32 to 1.000000" in ran.out
    assert lines[-1] == "Everything that was checked works."


def test_as_json(embank: Embank, checks: list[EngineCheck]) -> None:
    document = embank("doctor", "--json").json
    assert document["ok"] is True
    assert document["versions"]["h5py"].startswith("3.")
    assert document["engines"][0]["agreement"] == 1.0
    assert {finding["state"] for finding in document["findings"]} <= {"ok", "note"}
    assert embank("doctor", "--no-engines", "--json").json["engines"] == []


def test_engines_that_disagree_are_wrong(embank: Embank, checks: list[EngineCheck]) -> None:
    checks.append(BROKEN)
    ran = embank("doctor")
    assert ran.code == 1
    (wrong,) = (line for line in ran.out.splitlines() if line.startswith("WRONG"))
    assert "openvino in float32: its vectors do not agree" in wrong
    assert "--engine keras" in wrong
    assert ran.out.splitlines()[-1].startswith("Something is wrong")
    assert embank("doctor", "--json").json["ok"] is False


def test_a_library_that_is_missing_or_of_another_version(
    embank: Embank, checks: list[EngineCheck], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        installation, "requires", lambda _: ["h5py>=99", "no-such-thing>=2", "numpy", "x>1; extra == 'dev'"]
    )
    ran = embank("doctor")
    assert ran.code == 1
    wrong = [line for line in ran.out.splitlines() if line.startswith("WRONG")]
    assert len(wrong) == 2
    assert "h5py 3" in wrong[0]
    assert "pip install 'h5py>=99'" in wrong[0]
    assert "no-such-thing is missing → pip install 'no-such-thing>=2'" in wrong[1]


def test_a_cache_that_cannot_be_used_or_has_little_room(
    embank: Embank, checks: list[EngineCheck], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMBANK_CACHE", str(tmp_path / "file" / "cache"))
    ran = embank("doctor")
    assert ran.code == 1
    assert "cannot be written → mend its permissions, or set EMBANK_CACHE" in ran.out
    monkeypatch.setenv("EMBANK_CACHE", str(tmp_path / "new" / "cache"))
    usage = namedtuple("usage", "free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(1e9))
    ran = embank("doctor")
    assert ran.code == 0
    assert "1 GB free → make room, or set EMBANK_CACHE" in ran.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("avx2 avx512_bf16 amx_bf16", "bfloat16 in AMX tiles → --precision bfloat16 is"),
        ("avx2 avx512_bf16", "bfloat16 without AMX"),
        ("avx2", "no bfloat16 units → keep to --precision float32"),
        ("sse2", "has no AVX2"),
    ],
)
def test_what_the_processor_is_good_for(
    embank: Embank, checks: list[EngineCheck], monkeypatch: pytest.MonkeyPatch, flags: str, said: str
) -> None:
    monkeypatch.setattr("embedder.machine.processor_features", lambda: frozenset(flags.split()))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert said in embank("doctor", "--no-engines").out


def test_the_processor_is_read_from_what_the_kernel_says(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(
        "processor : 0\nmodel name : Fast One\nflags : fpu avx2\n\nprocessor : 1\nflags : other\n"
    )
    assert processor_name(path) == "Fast One"
    assert processor_features(path) == {"fpu", "avx2"}
    assert processor_features(tmp_path / "none") == frozenset()
    assert processor_name(tmp_path / "none")
