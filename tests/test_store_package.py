"""Importing the package is quick, and what it offers is there."""

import subprocess
import sys

import pytest

import store


def test_importing_the_store_imports_nothing_heavy() -> None:
    script = (
        "import sys; before = set(sys.modules); import store; from store import FORMAT_VERSION; "
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    heavy = {"numpy", "pandas", "h5py", "pyarrow", "tensorflow", "keras", "sklearn"}
    assert "store" in done.stdout.split()
    assert not heavy & set(done.stdout.split())


def test_reading_a_store_does_not_import_tensorflow() -> None:
    script = "import sys; from store import FeatureStore, StoreWriter; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_every_name_on_offer_is_there() -> None:
    for name in store.__all__:
        assert getattr(store, name) is not None
    with pytest.raises(AttributeError, match="'store' has no attribute 'Bank'"):
        store.Bank  # noqa: B018


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("StoreNotFoundError", FileNotFoundError), ("StoreFormatError", ValueError), ("StoreWriteError", OSError),
        ("UnknownSpaceError", KeyError), ("UnknownImageError", KeyError), ("LabelTableError", ValueError),
    ],
)  # fmt: skip
def test_errors_are_of_one_family_and_print_their_sentence(name: str, like: type[Exception]) -> None:
    error = getattr(store, name)
    assert issubclass(error, store.StoreError)
    assert issubclass(error, like)
    assert str(error("no such thing.")) == "no such thing."
