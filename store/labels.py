"""Label tables: kept beside the vectors, joined to images when they are read."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from store.errors import LabelTableError, StoreFormatError
from store.files import json_object, read_committed

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

LABELS_NAME = re.compile(r"(?P<n>\d{6,})-(?P<checksum>[0-9a-f]{32})\.parquet")
JOINS = ("key", "name", "hash")
_METADATA = b"embank"
_MOST_CELLS, _MOST_BYTES = 200_000_000, 4 << 30  # a stranger's small file may say that it has any number
_REMEDY = "Delete it and attach the table again with `embank labels … add`, or upgrade embank."
_USUAL_COLUMNS = {
    "key": ("key", "path", "file", "filename", "image"),
    "name": ("name", "filename", "file", "image", "path", "key"),
    "hash": ("hash",),
}


@dataclass(frozen=True)
class LabelTable:
    """Labels of images.

    on: what the rows are joined by: `key`, `name` (the last part of the key) or `hash`. source: the only
    source whose images are meant, or None for all. table: the first column, `on`, holds the join values,
    each once; the others are labels.
    """

    name: str
    on: str
    source: str | None
    table: pd.DataFrame

    @property
    def columns(self) -> list[str]:
        """The names of the label columns."""
        return [str(column) for column in self.table.columns[1:]]

    def match(self, images: pd.DataFrame) -> pd.Series[int]:
        """The row of this table for each image, missing where there is none."""
        wanted = images["key"].str.rsplit("/", n=1).str[-1] if self.on == "name" else images[self.on]
        rows = wanted.map(pd.Series(range(len(self.table)), index=self.table[self.on]))
        return rows if self.source is None else rows.where(images["source"] == self.source)


@dataclass(frozen=True)
class JoinReport:
    """How a label table fits the images: what did not match, on both sides."""

    matched: int
    images_without_row: list[str]
    rows_without_image: list[str]
    conflicting: list[str]


def make_label_table(
    name: str, table: pd.DataFrame, on: str = "key", source: str | None = None, column: str | None = None
) -> tuple[LabelTable, list[str]]:
    """A label table out of any table, and the join values that occur with different labels (first counts).

    column: the one that holds the join values; by default the first usual name for them, such as `path`.
    """
    if on not in JOINS:
        raise LabelTableError(f"cannot join on {on!r}: expected one of {', '.join(JOINS)}.")
    table = table.rename(columns=str)
    usual = (column,) if column else _USUAL_COLUMNS[on]
    found = next((candidate for candidate in usual if candidate in table.columns), None)
    if found is None:
        raise LabelTableError(
            f"label table {name!r} has no column {' or '.join(map(repr, usual))} to join on {on}; "
            f"its columns are {', '.join(table.columns)}. Name the right one with --column."
        )
    rest = [other for other in table.columns if other != found]
    if not rest:
        raise LabelTableError(f"label table {name!r} has no label column beside {found!r}.")
    table = table[[found, *rest]].rename(columns={on: f"{on}_label"} if found != on else {})
    table = table.rename(columns={found: on}).dropna(subset=[on])
    table[on] = table[on].astype("str")
    for other in [name for name, dtype in table.dtypes.items() if dtype == "object"]:
        table[other] = table[other].map(_as_label, na_action="ignore")
    table = table.drop_duplicates(ignore_index=True)
    conflicting = table.loc[table[on].duplicated(), on].unique().tolist()
    return LabelTable(name, on, source, table.drop_duplicates(on, ignore_index=True)), conflicting


def _as_label(value: object) -> object:
    """Lists, which Parquet may hold, as text; other values as they are."""
    if isinstance(value, list | tuple | np.ndarray):
        return ";".join(map(str, value))
    return value if isinstance(value, Hashable) else str(value)


def join_report(labels: LabelTable, images: pd.DataFrame, conflicting: list[str]) -> JoinReport:
    """What matched and what did not, images by key and rows by their join value."""
    if labels.source is not None:
        images = images[images["source"] == labels.source]
    rows = labels.match(images)
    used = rows.dropna().astype(int).unique()
    return JoinReport(
        matched=int(rows.notna().sum()),
        images_without_row=images.loc[rows.isna(), "key"].tolist(),
        rows_without_image=labels.table.loc[~labels.table.index.isin(used), labels.on].tolist(),
        conflicting=conflicting,
    )


def join_labels(images: pd.DataFrame, tables: list[LabelTable]) -> pd.DataFrame:
    """`images` with a column `labels.<column>` for each label.

    Where several tables have a column, the first table that has a value for an image counts, and each table's
    own values are in `labels.<table>.<column>` too.
    """
    columns: dict[str, pd.Series] = {}
    holders = Counter(column for labels in tables for column in labels.columns)
    for labels in tables:
        rows = labels.match(images)
        for column in labels.columns:
            values = labels.table[column].reindex(rows).set_axis(images.index)
            name = f"labels.{column}"
            columns[name] = columns[name].combine_first(values) if name in columns else values
            if holders[column] > 1:
                columns[f"labels.{labels.name}.{column}"] = values
    return pd.concat([images, pd.DataFrame(columns, index=images.index)], axis=1) if columns else images


def labels_image(labels: LabelTable) -> bytes:
    """The bytes of a label table's Parquet file."""
    import pyarrow as pa  # a tenth of a second, and only label tables need it
    import pyarrow.parquet as pq

    about = {"format": 1, "on": labels.on, "source": labels.source}
    try:
        table = pa.Table.from_pandas(labels.table, preserve_index=False)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise LabelTableError(f"label table {labels.name!r} cannot be stored: {error}.") from error
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({_METADATA: json.dumps(about).encode()}), buffer)
    return buffer.getvalue()


def labels_file(directory: Path) -> Path | None:
    """The current file of a label table: the one of the highest number."""
    matched = [(LABELS_NAME.fullmatch(path.name), path) for path in directory.iterdir()]
    return max(((int(match["n"]), path) for match, path in matched if match), default=(0, None))[1]


def read_labels(directory: Path) -> LabelTable | None:
    """The current label table in `directory`, or None. Raises StoreFormatError if it is damaged."""
    path = labels_file(directory)
    if path is None:
        return None
    data = read_committed(path, LABELS_NAME, _REMEDY)
    import pyarrow as pa

    try:
        return _parse(directory.name, data)
    except (ValueError, LookupError, TypeError, OSError, MemoryError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise StoreFormatError(
            f"{path} is damaged, of a newer embank, or no label table: {reason}. {_REMEDY}"
        ) from error


def _parse(name: str, data: bytes) -> LabelTable:
    """The label table in these bytes. Raises ValueError, or whatever Arrow does, for one that is not sound."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(data))
    columns = [file.metadata.schema.column(number) for number in range(file.metadata.num_columns)]
    _check_size(file.metadata, columns)
    if any(column.path != column.name or column.max_repetition_level for column in columns):
        raise ValueError("it has columns that are not flat")
    texts = [column.name for column in columns if column.physical_type == "BYTE_ARRAY"]
    table = pq.read_table(io.BytesIO(data), read_dictionary=texts)  # a text that repeats is not copied yet
    if sum(map(_decoded_bytes, table.columns)) > _MOST_BYTES:
        raise ValueError(f"its texts have more than {_MOST_BYTES:,} bytes")
    about = json_object((table.schema.metadata or {}).get(_METADATA, b"null"))
    on, source = about.get("on"), about.get("source")
    if about.get("format") != 1 or on not in JOINS or not isinstance(source, str | None):
        raise ValueError(f"its metadata is {about}")
    frame: pd.DataFrame = table.cast(file.schema_arrow).to_pandas(ignore_metadata=True)
    if list(frame.columns[:1]) != [on] or not frame.columns.is_unique:
        raise ValueError(f"its first column is not {on!r}, or two have one name")
    if frame[on].dtype != "str" or frame[on].isna().any() or frame[on].duplicated().any():
        raise ValueError(f"its column {on!r} is not of texts, each once")
    return LabelTable(name, on, source, frame)


def _check_size(metadata: pq.FileMetaData, columns: Sequence[pq.ColumnSchema]) -> None:
    """Of what is known before anything is read. A column of a fixed width takes it in every row, in the file or not."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
    cells = rows * len(columns)
    stored = sum(group.total_byte_size for group in groups)
    fixed = rows * sum(max(column.length, 0) for column in columns)
    if cells > _MOST_CELLS or max(stored, fixed) > _MOST_BYTES:
        raise ValueError(
            f"its {cells:,} values are more than {_MOST_CELLS:,}, or longer than {_MOST_BYTES:,} bytes"
        )


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind))


def _decoded_bytes(column: pa.ChunkedArray) -> int:
    """How many bytes a column of texts will have when each stands for itself."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
        return int(column.nbytes)
    lengths = (pc.binary_length(chunk.dictionary).take(chunk.indices) for chunk in column.chunks)
    return sum(pc.sum(pc.cast(one, pa.int64())).as_py() or 0 for one in lengths)
