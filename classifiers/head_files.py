"""Head files: one zip of JSON and plain arrays that never runs code when it is loaded.

Members, all stored uncompressed: `head.json` (what it is, see `_describe`), for linear heads `coef.npy` and
`intercept.npy`, for dense heads `kernel_0.npy`, `bias_0.npy`, …, for other scikit-learn estimators `model.skops`,
and `train_hashes.npy`. `head.json` holds the blake2b-128 of every other member, and a seal, its own checksum.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from classifiers.arrays import npy_array, npy_bytes
from classifiers.errors import HeadError, HeadFileError, SchemeError
from classifiers.evaluation import Figures
from classifiers.head_members import describe_estimator, estimator_members, read_estimator
from classifiers.presets import Estimator
from classifiers.saved_heads import SavedHead, TrainHashes
from classifiers.schemes import Scheme
from store import Space
from store.commit import checksum, write_file
from store.errors import first_line
from store.recipes import canonical_json, fingerprint

FORMAT = "embank-head"
VERSION = 1
_MEMBER = re.compile(r"head\.json|model\.skops|(coef|intercept|train_hashes|(kernel|bias)_\d{1,2})\.npy")
_LARGEST_JSON = 16 << 20
_LARGEST_FILE = 4 << 30


def save_head(
    path: str | Path,
    head: Estimator,
    *,
    classes: Iterable[str] | None = None,
    scheme: Scheme | None = None,
    space: Space | None = None,
    figures: Figures | Mapping[str, Any] | None = None,
    train_hashes: Iterable[str] | TrainHashes | None = None,
    split: Mapping[str, Any] | None = None,
) -> None:
    """Writes a fitted head to `path`, durably; the arguments are those of `SavedHead.of`.

    Raises HeadError if its space is not known, HeadFileError if `load_head` would refuse it.
    """
    if isinstance(head, SavedHead):
        record = head
    else:
        record = SavedHead.of(
            head,
            classes=classes,
            scheme=scheme,
            space=space,
            figures=figures,
            train_hashes=train_hashes,
            split=split,
        )
    write_head(Path(path), record)


def load_head(path: str | Path) -> SavedHead:
    """The head that `save_head` wrote. Runs no code from the file, and imports neither Keras nor TensorFlow.

    Raises HeadFileError, with one sentence, if the file is missing, damaged, foreign or of a newer format.
    """
    path = Path(path)
    try:
        members = _read_members(path)
        description = _read_description(members.pop("head.json"))
        _check_digests(members, description)
        return _record(description, members)
    except FileNotFoundError as error:
        raise HeadFileError(f"there is no head file {path}.") from error
    except HeadFileError as error:
        raise HeadFileError(f"{path}: {error}") from error
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise HeadFileError(
            f"{path} is no head file, or was cut off ({reason}). Save the head again."
        ) from error
    except (
        LookupError,
        MemoryError,
        struct.error,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
        HeadError,
    ) as error:
        raise HeadFileError(f"{path} is damaged: {_reason(error)}. Save the head again.") from error


def write_head(path: Path, record: SavedHead) -> None:
    """Writes a record to `path`; the same record gives the same bytes."""
    kind, members = estimator_members(record.estimator)
    members["train_hashes.npy"] = npy_bytes(record.train_hashes)
    try:
        plain = json.loads(json.dumps(_describe(record, kind, members), allow_nan=False))
        text = json.dumps(sealed(plain), indent=1)
    except (TypeError, ValueError) as error:
        raise HeadFileError(
            f"{path} cannot be written: a parameter of the head is no plain value ({error})."
        ) from error
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, data in {"head.json": text.encode(), **members}.items():
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    write_file(path, buffer.getvalue())


def _describe(record: SavedHead, kind: str, members: Mapping[str, bytes]) -> dict[str, Any]:
    """What stands in `head.json`."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": kind,
        "head": record.head,
        **describe_estimator(record.estimator, kind),
        "classes": list(record.classes),
        "space": record.space,
        "recipe": record.recipe,
        "scheme": None if record.scheme is None else record.scheme.to_dict(),
        "split": record.split,
        "figures": record.figures,
        "versions": record.versions,
        "digests": {name: checksum(data) for name, data in members.items()},
    }


def sealed(description: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in `head.json`, with the checksum of all of it as its last entry."""
    rest = {name: value for name, value in description.items() if name != "seal"}
    return rest | {"seal": checksum(canonical_json(rest).encode())}


def _read_members(path: Path) -> dict[str, bytes]:
    """All members, after seeing that they are known, stored, and no larger than the file."""
    if path.exists() and not path.is_file():
        raise HeadFileError("it is no file. Name a file that `embank train` wrote.")
    size = path.stat().st_size
    if size > _LARGEST_FILE:
        raise HeadFileError(f"it has {size:,} bytes; head files have at most {_LARGEST_FILE:,}.")
    members: dict[str, bytes] = {}
    with zipfile.ZipFile(path) as file:
        for info in file.infolist():
            if not _MEMBER.fullmatch(info.filename) or info.filename in members:
                raise HeadFileError(f"it holds {info.filename!r}, which is no part of a head.")
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > size or info.flag_bits & 1:
                raise HeadFileError(f"its member {info.filename!r} is not stored plainly.")
            if info.filename == "head.json" and info.file_size > _LARGEST_JSON:
                raise HeadFileError("its head.json is too large.")
            members[info.filename] = file.read(info)
    if "head.json" not in members:
        raise HeadFileError("it is a zip file, but no head: head.json is missing.")
    return members


def _read_description(data: bytes) -> dict[str, Any]:
    description = json.loads(data, parse_constant=_refuse_constant)
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise HeadFileError("it is no head of embank.")
    found = description.get("version")
    if not isinstance(found, int) or found > VERSION:
        raise HeadFileError(
            f"it is of format {found}, this embank reads formats up to {VERSION}. "
            "Upgrade with `pip install --upgrade embank`."
        )
    if description.get("seal") != sealed(description)["seal"]:
        raise HeadFileError("its head.json was changed: the checksum differs. Save the head again.")
    return description


def _check_digests(members: Mapping[str, bytes], description: Mapping[str, Any]) -> None:
    digests = description["digests"]
    if set(digests) != set(members):
        raise HeadFileError("its members are not those that its head.json lists.")
    for name, data in members.items():
        if digests[name] != checksum(data):
            raise HeadFileError(
                f"its member {name!r} was changed: the checksum differs. Save the head again."
            )


def _record(description: Mapping[str, Any], members: Mapping[str, bytes]) -> SavedHead:
    for name, kind in (
        ("classes", list),
        ("space", str),
        ("recipe", dict),
        ("head", str),
        ("versions", dict),
    ):
        if not isinstance(description[name], kind):
            raise ValueError(f"{name} is no {kind.__name__}")
    if not all(isinstance(one, str) for one in description["classes"]):
        raise ValueError("classes are not texts")
    if fingerprint(description["recipe"]) != description["space"].rpartition("-")[2]:
        raise ValueError("its recipe does not fit the fingerprint of its space")
    hashes = npy_array(members["train_hashes.npy"], 1, "u8")
    scheme = description["scheme"]
    try:
        known = None if scheme is None else Scheme.from_dict(scheme)
    except SchemeError as error:
        raise ValueError(str(error)) from error
    record = SavedHead(
        read_estimator(description, members),
        description["head"],
        tuple(description["classes"]),
        description["space"],
        description["recipe"],
        known,
        _optional_dict(description["split"]),
        _optional_dict(description["figures"]),
        hashes.astype("u8"),
        {str(name): str(one) for name, one in description["versions"].items()},
    )
    _ = record.columns  # refuses classes that do not fit
    return record


def _optional_dict(value: object) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    raise ValueError("split or figures are no mapping")


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is no number")


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return first_line(error).rstrip(".")
