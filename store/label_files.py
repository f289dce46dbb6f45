"""Label tables on disk: Parquet files, of which the one of the highest number counts."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from store.errors import LabelTableError, StoreFormatError, first_line
from store.files import json_object, read_committed
from store.labels import JOINS, LabelTable

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

LABELS_NAME = re.compile(r"(?P<n>\d{6,})-(?P<checksum>[0-9a-f]{32})\.parquet")
_METADATA = b"embank"
_MOST_CELLS, _MOST_BYTES = 200_000_000, 4 << 30  # a stranger's small file may say that it has any number
_REMEDY = "Delete it and attach the table again with `embank labels … add`, or upgrade embank."


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
        reason = first_line(error).rstrip(".")
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
