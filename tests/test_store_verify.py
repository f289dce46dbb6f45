"""Verify finds every damage that a store can take, and none where there is none."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

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
