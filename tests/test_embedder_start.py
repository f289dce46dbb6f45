"""What starting loads: heavy packages only where they are needed, and never a stranger called `store`."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("tensorflow", "keras", "openvino", "pandas", "h5py", "sklearn", "pyarrow")


def loaded_by(code: str) -> set[str]:
    """The top-level packages that a fresh Python has loaded after running `code`."""
    script = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "without"),
    [
        ("import store", HEAVY),
        ("import embedder", HEAVY),
        ("from embedder import Recipe; Recipe('ResNet50', weights='none').freeze('random-0')", HEAVY),
        ("from embedder import embed", ("tensorflow", "keras", "openvino", "sklearn")),
        (
            "from store import FeatureStore, StoreWriter",
            ("tensorflow", "keras", "openvino", "sklearn"),
        ),
        ("from embedder.weights import known_digest", ("tensorflow", "keras", "openvino")),
    ],
)
def test_heavy_packages_wait_until_they_are_needed(code: str, without: tuple[str, ...]) -> None:
    assert not loaded_by(code) & set(without)


def test_a_stranger_called_store_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "store.py").write_text("SHELVES = 3\n")
    done = subprocess.run(
        [sys.executable, "-c", "import embedder"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert str(tmp_path / "store.py") in done.stderr
    assert "rename it" in done.stderr
