"""Verify finds every damage that a store can take, and none where there is none."""

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from store import FeatureStore, compact, merge, remove_source, remove_space
from store.columns import hashes_from_hex, pack_strings
from store.commit import checksum, commit_file, file_checksum
from store.errors import StoreError, StoreNotFoundError
from store.labels import make_label_table
from store.listing import OK, Listing, listing_image
from store.part import PartRows, part_image
from store.recipes import canonical_json, space_id
from store.verify import Verification, verify
from store.writer import StoreWriter

RECIPE: dict[str, Any] = {"backbone": "ResNet50", "dtype": "float32", "image_size": 224}
OTHER = RECIPE | {"backbone": "Xception"}
SPACE = space_id(RECIPE)


def _rows(names: str, dim: int = 4, value: float = 1.0) -> PartRows:
    """One row for each letter."""
    vectors = np.ones((len(names), dim), np.float32)
    vectors[-1:, -1] = value
    return PartRows(
        hash=hashes_from_hex([checksum(name.encode()) for name in names]),
        view=np.zeros(len(names), np.int16),
        vectors=vectors,
        key=[f"{name}.jpg" for name in names],
        source=["photos"] * len(names),
    )


def _listing(names: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "key": [f"{name}.jpg" for name in names], "hash": [checksum(name.encode()) for name in names],
            "bytes": 1, "mtime": 2, "width": 3, "height": 4, "status": OK, SPACE: True,
        }
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound store: two spaces, three parts, a source in two files, a label table."""
    writer = StoreWriter(tmp_path / "s.embank")
    for recipe in (RECIPE, OTHER):
        writer.open_space(recipe)
    writer.commit_part(RECIPE, _rows("abc"))
    writer.commit_part(RECIPE, _rows("de"))
    writer.commit_part(OTHER, _rows("ab"))
    writer.add_to_listing("photos", "/p", _listing("abc"))
    writer.add_to_listing("photos", "/p", _listing("de"))
    labels, _ = make_label_table(
        "coat", pd.DataFrame({"path": ["a.jpg", "b.jpg"], "coat": ["long", "short"]})
    )
    writer.attach_labels(labels)
    return writer.path


def _parts(path: Path, space: str = SPACE) -> list[Path]:
    return sorted((path / "spaces" / space).glob("*.h5"))


def _blamed(path: Path) -> dict[str, str]:
    """What is wrong, by file with checksums cut off."""
    found = verify(path)
    assert found.ok is (not found.damage)
    return {damage.file: damage.what for damage in found.damage}


def test_a_sound_store_has_no_damage(path: Path) -> None:
    (path / "cache").mkdir()
    (path / "heads").mkdir()
    (path / "spaces" / SPACE / ".tmp-00000000-1-00000000").write_bytes(b"half a part of a writer that lives")
    found = verify(path)
    assert found.to_dict() == {"ok": True, "parts": 3, "rows": 7, "damage": []}
    assert verify(StoreWriter(path.parent / "new.embank").path) == Verification()


def test_progress_goes_to_the_end(path: Path) -> None:
    calls: list[tuple[int, int]] = []
    verify(path, lambda done, total: calls.append((done, total)))
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    committed = sum(file.stat().st_size for file in path.rglob("*-*.*"))
    assert calls[-1][0] == committed
    assert {total for _, total in calls} == {
        sum(file.stat().st_size for file in path.rglob("*.*") if file.is_file())
    }


_ONLY: dict[str, Callable[[StoreWriter], object]] = {
    "part": lambda writer: writer.commit_part(RECIPE, _rows("abc")),
    "listing": lambda writer: writer.add_to_listing("photos", "/p", _listing("abc").drop(columns=SPACE)),
    "labels": lambda writer: writer.attach_labels(
        make_label_table("coat", pd.DataFrame({"path": ["a.jpg"], "coat": ["long"]}))[0]
    ),
    "recipe": lambda _: None,
    "embank.json": lambda _: None,
}
_FILES = {
    "part": "spaces/*/0*.h5", "listing": "sources/*/*.h5", "labels": "labels/*/*.parquet",
    "recipe": "spaces/*/recipe.json", "embank.json": "embank.json",
}  # fmt: skip


@pytest.mark.parametrize("kind", _FILES)
def test_every_byte_that_flips_is_found(tmp_path: Path, kind: str) -> None:
    """Each byte of each kind of file, in a store that holds no other damage and little else."""
    writer = StoreWriter(tmp_path / "s.embank")
    if kind in ("part", "recipe"):
        writer.open_space(RECIPE)
    _ONLY[kind](writer)
    assert verify(writer.path).ok
    (file,) = writer.path.glob(_FILES[kind])
    masks = [1 << bit for bit in range(8)] if file.suffix == ".json" else [0xFF]
    sound = file.read_bytes()
    with file.open("r+b", buffering=0) as handle:
        for position, byte in enumerate(sound):
            for mask in masks:
                handle.seek(position)
                handle.write(bytes([byte ^ mask]))
                assert _is_found(writer.path), f"byte {position} of {file.name}, changed by {mask:#x}"
            handle.seek(position)
            handle.write(bytes([byte]))
    assert verify(writer.path).ok


def _is_found(path: Path) -> bool:
    try:
        return not verify(path).ok
    except StoreError:
        return True


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
@pytest.mark.parametrize("kind", _FILES)
def test_a_file_that_was_cut_is_found(path: Path, kind: str, keep: int) -> None:
    file = sorted(path.glob(_FILES[kind]))[0]
    file.write_bytes(file.read_bytes()[:keep] if keep <= file.stat().st_size // 2 else b"")
    if kind == "embank.json" and keep == -1:
        file.write_bytes(b'{"format": 1')  # without its last byte it would be whole
    assert _is_found(path)


def test_damage_names_the_file_and_says_what_to_do(path: Path) -> None:
    part = _parts(path)[1]
    part.write_bytes(part.read_bytes()[:-1])
    blamed = _blamed(path)
    name = f"spaces/{SPACE}/{part.name}"
    assert blamed.keys() >= {name}
    assert blamed[name].startswith("does not match the checksum in its name (")
    assert blamed[name].endswith(
        "delete it and embed its source again, which makes only the rows that are missing."
    )
    assert str(path) not in "".join(blamed.values())


def test_all_damage_is_listed_in_one_go(path: Path) -> None:
    for part in [*_parts(path), *_parts(path, space_id(OTHER))]:
        part.write_bytes(b"")
    assert sum(name.endswith(".h5") for name in _blamed(path)) == 3


def test_a_missing_part_is_found_by_what_the_listing_promises(path: Path) -> None:
    _parts(path)[1].unlink()
    blamed = _blamed(path)
    assert blamed.keys() == {"sources/photos"}
    assert (
        f"lists 2 images as banked in {SPACE} that have no sound vectors there (the first: d.jpg)"
        in (blamed["sources/photos"])
    )


def test_a_missing_space_is_found_by_what_the_listing_promises(path: Path) -> None:
    shutil.rmtree(path / "spaces" / SPACE)
    assert "lists 5 images as banked" in _blamed(path)["sources/photos"]


def test_images_that_are_bad_or_gone_promise_nothing(path: Path) -> None:
    gone = _listing("xyz").assign(status=["not an image", "no longer in the source", "empty"])
    StoreWriter(path).add_to_listing("photos", "/p", gone)
    assert verify(path).ok


@pytest.mark.parametrize("name", ["part.h5", "000001.h5", "000001-0123abcd.h5.bak"])
def test_a_renamed_part_is_found(path: Path, name: str) -> None:
    _parts(path)[0].rename(path / "spaces" / SPACE / name)
    blamed = _blamed(path)
    assert "is no file of this store by its name" in blamed[f"spaces/{SPACE}/{name}"]
    assert "lists 3 images as banked" in blamed["sources/photos"]


def test_a_part_with_the_name_of_another_is_found(path: Path) -> None:
    one, other = _parts(path)
    shutil.copy(one, other)
    assert f"spaces/{SPACE}/{other.name}" in _blamed(path)


def test_a_part_of_another_space_is_found(path: Path) -> None:
    part = _parts(path, space_id(OTHER))[0]
    shutil.move(part, path / "spaces" / SPACE)
    assert _blamed(path)[f"spaces/{SPACE}/{part.name}"].startswith(
        f"belongs to another space, {space_id(OTHER)}"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_found_though_the_checksum_is_right(path: Path, value: float) -> None:
    part = commit_file(
        path / "spaces" / SPACE, "000003-00000000", ".h5", part_image(_rows("x" * 5000, value=value), RECIPE)
    )
    assert _blamed(path)[f"spaces/{SPACE}/{part.name}"].startswith(
        "has vectors that are not finite after row 4096"
    )


def test_a_part_of_another_dimension_is_found(path: Path) -> None:
    image = part_image(_rows("x", dim=5), OTHER)
    commit_file(path / "spaces" / space_id(OTHER), "000003-00000000", ".h5", image)
    assert not verify(path).ok


def _sealed(image: bytes) -> bytes:
    """An HDF5 file with `vectors`, as a part whose checksum fits."""
    with h5py.File(io.BytesIO(image)) as file:
        start, size = file["vectors"].id.get_offset(), file["vectors"].nbytes
    return image + bytes.fromhex(file_checksum(image[:start] + image[start + size :]))


@pytest.mark.parametrize("column", ["key", "source"])
def test_a_column_of_another_length_is_found(path: Path, column: str) -> None:
    image = io.BytesIO(part_image(_rows("x"), RECIPE)[:-16])
    with h5py.File(image, "r+") as file:
        text, ends = pack_strings(["one", "too many"])
        for name, array in ((column, text), (f"{column}_end", ends)):
            del file[name]
            file.create_dataset(name, data=array)
    part = commit_file(path / "spaces" / SPACE, "000003-00000000", ".h5", _sealed(image.getvalue()))
    assert f"column {column} has another length" in _blamed(path)[f"spaces/{SPACE}/{part.name}"]


def test_an_edited_recipe_is_found(path: Path) -> None:
    file = path / "spaces" / SPACE / "recipe.json"
    file.write_text(canonical_json(RECIPE | {"image_size": 160}))
    assert "does not fit its space" in _blamed(path)[f"spaces/{SPACE}/recipe.json"]
    file.unlink()
    assert "has no recipe.json" in _blamed(path)[f"spaces/{SPACE}/recipe.json"]


def test_a_space_or_a_source_of_another_name_is_found(path: Path) -> None:
    (path / "spaces" / space_id(OTHER)).rename(path / "spaces" / "my favourite")
    assert "is no space by its name" in _blamed(path)["spaces/my favourite"]


@pytest.mark.parametrize(
    "place",
    [".", f"spaces/{SPACE}", "sources/photos", "labels/coat"],
)
def test_a_stray_file_is_found(path: Path, place: str) -> None:
    (path / place / "notes.txt").write_text("mine")
    (file,) = _blamed(path)
    assert Path(file) == Path(place) / "notes.txt"


@pytest.mark.parametrize("place", ["spaces", "sources", "labels"])
def test_a_stray_file_between_directories_is_found(path: Path, place: str) -> None:
    (path / place / "notes.txt").write_text("mine")
    assert f"{place}/notes.txt" in _blamed(path)


@pytest.mark.parametrize("place", [".", "spaces", f"spaces/{SPACE}"])
def test_what_a_file_manager_leaves_is_no_damage(path: Path, place: str) -> None:
    (path / place / ".DS_Store").write_bytes(b"icons")
    assert verify(path).ok


def test_every_damaged_listing_file_is_listed(path: Path) -> None:
    for file in (path / "sources" / "photos").iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    assert sum(name.startswith("sources/photos/") for name in _blamed(path)) == 2


def test_a_listing_of_another_source_is_found(path: Path) -> None:
    shutil.copytree(path / "sources" / "photos", path / "sources" / "copies")
    assert not verify(path).ok


def test_a_listing_of_another_shape_is_found_though_its_checksum_is_right(path: Path) -> None:
    table = _listing("a").drop(columns=SPACE)
    image = listing_image(Listing("photos", "/p", table.assign(listed=1)), [])
    broken = image.replace(b'"source"', b'"SOURCE"')
    assert broken != image
    commit_file(path / "sources" / "photos", "000009", ".h5", broken)
    assert any("is damaged" in what for what in _blamed(path).values())


def test_a_label_table_that_is_no_parquet_is_found_though_its_checksum_is_right(path: Path) -> None:
    commit_file(path / "labels" / "coat", "000009", ".parquet", b"PAR1 but nothing else")
    assert "its label table cannot be read" in _blamed(path)["labels/coat"]


def test_there_must_be_a_store_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError):
        verify(tmp_path / "x.embank")


def _change(pattern: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def spoil(path: Path) -> None:
        file = sorted(path.glob(pattern))[0]
        file.write_bytes(change(file.read_bytes()))

    return spoil


def _flip(what: bytes) -> Callable[[Path], object]:
    """Flips a bit of the first part, in the first byte of `what`."""

    def change(data: bytes) -> bytes:
        at = data.index(what)
        return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]

    return _change(_PART, change)


def _commit(
    pieces: Callable[[Path], bytes], place: str = f"spaces/{SPACE}", stem: str = "000007-00000000"
) -> Any:
    return lambda path: commit_file(
        path / place, stem, ".parquet" if "labels" in place else ".h5", pieces(path)
    )


def _remove(pattern: str, which: int = 0) -> Callable[[Path], object]:
    return lambda path: sorted(path.glob(pattern))[which].unlink()


def _move(pattern: str, place: str) -> Callable[[Path], object]:
    return lambda path: sorted(path.glob(pattern))[0].rename(path / place)


def _unsealed(path: Path) -> bytes:
    """A part whose name fits, and whose seal does not."""
    return part_image(_rows("x"), RECIPE)[:-1] + b"?"


def _foreign_store(path: Path) -> bytes:
    other = StoreWriter(path.parent / "other.embank")
    return other.commit_part(OTHER | {"image_size": 96}, _rows("x")).read_bytes()


def _directory_like_a_part(path: Path) -> None:
    (path / f"spaces/{SPACE}/000009-00000000-{'0' * 32}.h5").mkdir()


def _cut_listing(path: Path) -> bytes:
    table = _listing("x").drop(columns=SPACE).assign(listed=1)
    return listing_image(Listing("photos", "/p", table), []).replace(b'"spaces"', b'"SPACES"')


def _unreadable(path: Path) -> None:
    sorted(path.glob(_PART))[0].chmod(0)


_PART, _LISTING, _TABLE = f"spaces/{SPACE}/0*.h5", "sources/photos/*.h5", "labels/coat/*.parquet"
_RECIPE_FILE = f"spaces/{SPACE}/recipe.json"
_ONES = np.ones(8, np.float32).tobytes()
_SUM, _ANEW = "does not match the checksum in its name", "delete it and embed its source again"
# What somebody or something may do to a store, where it is found, and what is said of it.
DAMAGE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "flipped bit in the vectors": (_flip(_ONES), _PART, _ANEW),
    "flipped bit in the hashes": (_flip(bytes.fromhex(checksum(b"a"))), _PART, _ANEW),
    "flipped bit in the keys": (_flip(b"a.jpgb.jpg"), _PART, _ANEW),
    "flipped bit in what it is": (_flip(b'{"format"'), _PART, _ANEW),
    "flipped bit in the seal": (_change(_PART, lambda data: data[:-1] + bytes([data[-1] ^ 1])), _PART, _ANEW),
    "flipped bit in the superblock": (_flip(b"HDF"), _PART, _ANEW),
    "part cut in its head": (_change(_PART, lambda data: data[:50]), _PART, _ANEW),
    "part cut in its vectors": (_change(_PART, lambda data: data[:-20]), _PART, _ANEW),
    "part without its last byte": (_change(_PART, lambda data: data[:-1]), _PART, _ANEW),
    "part of no bytes": (_change(_PART, lambda data: b""), _PART, _ANEW),
    "part of zeros": (_change(_PART, lambda data: bytes(len(data))), _PART, _ANEW),
    "part with bytes after its end": (_change(_PART, lambda data: data + b"more"), _PART, _ANEW),
    "missing part": (_remove(_PART), "sources/photos", "a part is missing or damaged. Embed the source again"),
    "missing space": (lambda path: shutil.rmtree(path / "spaces" / SPACE), "sources/photos", "Embed the source again"),
    "missing listing file": (_remove(_LISTING), "sources/photos", "lost its listing file 1: embed the source again"),
    "canary that is none": (
        lambda path: commit_file(path / "spaces" / SPACE, "canary", ".json", b"{}"),
        "spaces/*/canary-*", "compares anew",
    ),
    "renamed part": (_move(_PART, f"spaces/{SPACE}/mine.h5"), "spaces/*/mine.h5", "give it its name back"),
    "part under another checksum": (
        _move(_PART, f"spaces/{SPACE}/000001-00000000-{'0' * 32}.h5"), "spaces/*/*-000*.h5", _SUM
    ),
    "part of another space": (
        lambda path: shutil.move(_parts(path, space_id(OTHER))[0], path / "spaces" / SPACE / "000001-00000000-.h5"),
        "spaces/*/000001-00000000-.h5", "move it out"
    ),
    "part of another store": (_commit(_foreign_store), "spaces/*/000007-*.h5", "belongs to another space, Xception-"),
    "part whose seal is wrong": (_commit(_unsealed), "spaces/*/000007-*.h5", "embed its source again"),
    "NaN": (_commit(lambda _: part_image(_rows("x", value=np.nan), RECIPE)), "spaces/*/000007-*.h5", _ANEW),
    "infinite": (_commit(lambda _: part_image(_rows("x", value=-np.inf), RECIPE)), "spaces/*/000007-*.h5", _ANEW),
    "other dimensions": (_commit(lambda _: part_image(_rows("x", dim=9), RECIPE)), "spaces/*/000007-*.h5", _ANEW),
    "no HDF5 under a right checksum": (_commit(lambda _: b"text"), "spaces/*/000007-*.h5", "delete the file"),
    "directory named like a part": (_directory_like_a_part, "spaces/*/000009-*", "is a directory"),
    "pipe named like a part": (
        lambda path: os.mkfifo(path / f"spaces/{SPACE}/000009-00000000-{'0' * 32}.h5"), "spaces/*/000009-*", "is a pipe"
    ),
    "edited recipe": (_change(_RECIPE_FILE, lambda data: data.replace(b"224", b"160")), _RECIPE_FILE, "Delete it"),
    "recipe of another space": (
        lambda path: shutil.copy(path / "spaces" / space_id(OTHER) / "recipe.json", path / _RECIPE_FILE),
        _RECIPE_FILE, "does not fit its space",
    ),
    "missing recipe": (_remove(_RECIPE_FILE), _RECIPE_FILE, "writes it anew"),
    "recipe that is no JSON": (_change(_RECIPE_FILE, lambda data: data[:-1]), _RECIPE_FILE, "writes it anew"),
    "renamed space": (_move(f"spaces/{SPACE}", "spaces/mine"), "spaces/mine", "give it its name back"),
    "flipped byte in a listing": (_change(_LISTING, lambda data: data[:-1] + b"?"), _LISTING, _ANEW),
    "cut listing": (_change(_LISTING, lambda data: data[:99]), _LISTING, _ANEW),
    "listing of no bytes": (_change(_LISTING, lambda data: b""), _LISTING, _ANEW),
    "listing that says too little": (_commit(_cut_listing, "sources/photos", "3" * 6), "sources/photos", "delete"),
    "listing of another source": (
        _move("sources/photos", "sources/copies"), "sources/copies", "of another source, 'photos': move it there"
    ),
    "flipped byte in a label table": (_change(_TABLE, lambda data: data[:-1] + b"?"), _TABLE, "attach the table again"),
    "cut label table": (_change(_TABLE, lambda data: data[:99]), _TABLE, _SUM),
    "no label table": (_commit(lambda _: b"PAR1", "labels/coat", "000007"), "labels/coat", "attach the table again"),
    "stray file in a space": (lambda path: (path / "spaces" / SPACE / "x").write_text(""), "spaces/*/x", "move it out"),
    "stray file in the store": (lambda path: (path / "notes.txt").write_text(""), "notes.txt", "move it out"),
    "stray directory in the store": (lambda path: (path / "more").mkdir(), "more", "move it out"),
    "unreadable part": (_unreadable, _PART, "Check its permissions"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_what_to_do_is_said(path: Path, kind: str) -> None:
    spoil, place, sentence = DAMAGE[kind]
    if kind == "unreadable part" and os.geteuid() == 0:
        pytest.skip("root reads every file")
    expected = [file.relative_to(path).as_posix() for file in sorted(path.glob(place))[:1]] or [place]
    spoil(path)
    expected += [file.relative_to(path).as_posix() for file in path.glob(place)]
    blamed = _blamed(path)
    found = [what for file, what in blamed.items() if file in expected]
    assert any(sentence in what for what in found), blamed
    assert all("\n" not in what and what.endswith(".") for what in blamed.values()), blamed


def test_there_are_enough_kinds_of_damage() -> None:
    assert len(DAMAGE) >= 20


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "is damaged: expected"),
        (b"{", "is damaged: expected"),
        (b'{"format": 2}', "is of format 2, this embank reads formats up to 1. Upgrade"),
        (None, "it has no embank.json"),
    ],
    ids=["empty", "cut", "newer", "missing"],
)
def test_damage_of_the_store_itself_is_an_error(path: Path, text: bytes | None, sentence: str) -> None:
    (path / "embank.json").unlink()
    if text is not None:
        (path / "embank.json").write_bytes(text)
    with pytest.raises(StoreError, match=sentence):
        verify(path)


def _removed(path: Path) -> None:
    remove_source(path, "photos")


def _merged(path: Path) -> None:
    other = StoreWriter(path.parent / "other.embank")
    other.commit_part(RECIPE, _rows("xyz"))
    other.add_to_listing("more", "/m", _listing("xyz"))
    merge(path, other.path)


def _written_over(path: Path) -> None:
    """Listings and labels that were replaced, and then added to."""
    writer = StoreWriter(path)
    for _ in range(3):
        writer.add_to_listing("photos", "/p", _listing("a"))
        writer.replace_listing("photos", "/p", _listing("b"))
    writer.add_to_listing("photos", "/p", _listing("c"))
    writer.attach_labels(make_label_table("coat", pd.DataFrame({"path": ["a.jpg"], "coat": ["long"]}))[0])


def _left_by_the_dead(path: Path) -> None:
    """What writers that were killed leave: a file half written, a space and a source that were not born."""
    (path / "spaces" / SPACE / ".tmp-00000000-1-00000000").write_bytes(b"half")
    (path / "spaces" / "Xception-000000000000").mkdir()
    (path / "sources" / "new").mkdir()
    (path / ".trash-00000000").mkdir()


@pytest.mark.parametrize(
    "act",
    [
        lambda path: None, compact, _merged, _removed, _written_over, _left_by_the_dead,
        lambda path: remove_space(path, "Xception"),
    ],
    ids=["fresh", "compacted", "merged", "source removed", "written over", "left by the dead", "space removed"],
)  # fmt: skip
def test_a_sound_store_is_called_sound(path: Path, act: Callable[[Path], object]) -> None:
    act(path)
    assert verify(path).damage == []
    FeatureStore(path).summary()
