"""Tables that people bring: reading CSV and Parquet without guessing more than is safe."""

from __future__ import annotations

import codecs
import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from store.errors import LabelTableError, first_line

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
_LONGEST_HEADER = 1 << 20
_NUMBER = r"[+-]?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?"


def read_table(path: Path, encoding: str = "utf-8", missing: Sequence[str] = ()) -> pd.DataFrame:
    """Reads a .csv, .tsv or .parquet file, as `parse_table` does. Raises LabelTableError."""
    _check_kind(str(path))
    try:
        return parse_table(str(path), path.read_bytes(), encoding, missing)
    except FileNotFoundError:
        raise LabelTableError(f"there is no table at {path}; check the path.") from None
    except OSError as error:
        raise LabelTableError(f"could not read the table {path}: {error}.") from error


def parse_table(name: str, data: bytes, encoding: str = "utf-8", missing: Sequence[str] = ()) -> pd.DataFrame:
    """The table in the bytes of a .csv, .tsv or .parquet file. name: its path or URL, which says the kind.

    In text files an empty field is missing, and what `missing` names, and nothing else ("None" and "NA" are
    labels); a column becomes numbers only if every value is written as one ("007" stays text). Fields end at tabs,
    semicolons or commas, of which the first line says which. encoding: of a text file without a byte order mark.
    Raises LabelTableError.
    """
    _check_kind(name)
    try:
        if name.lower().endswith(".parquet"):
            return _parse_parquet(data)
        return _parse_text(data if encoding == "utf-8" else data.decode(encoding).encode(), missing)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise LabelTableError(
            f"could not read the table {name}: line {line} is not {encoding.upper()}; save it as CSV UTF-8, or "
            "attach it by `embank labels … add` with the right --encoding, such as cp1252 or latin-1."
        ) from error
    except LookupError as error:
        raise LabelTableError(
            f"could not read the table {name}: there is no encoding {encoding!r}; known are utf-8, latin-1, cp1252 "
            "and all others that Python has."
        ) from error
    except (ValueError, OSError, RuntimeError, pd.errors.ParserWarning) as error:
        raise LabelTableError(f"could not read the table {name}: {first_line(error)}.") from error


def is_table_name(name: str) -> bool:
    """Whether a file is a table by the end of its name."""
    return name.lower().endswith(TABLE_SUFFIXES)


def _check_kind(name: str) -> None:
    if not is_table_name(name):
        raise LabelTableError(f"{name} is no table: expected a file ending in {', '.join(TABLE_SUFFIXES)}.")


def _parse_parquet(data: bytes) -> pd.DataFrame:
    import pyarrow.parquet as pq  # a tenth of a second that reading a CSV need not wait for

    table: pd.DataFrame = pq.read_table(io.BytesIO(data)).to_pandas(ignore_metadata=True)
    return table


def _parse_text(data: bytes, missing: Sequence[str]) -> pd.DataFrame:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # what spreadsheets call Unicode text
        data = data.decode("utf-16").encode()
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # more fields than the header has
        table = pd.read_csv(
            io.BytesIO(data),
            dtype="str",
            sep=_separator(data),
            encoding="utf-8-sig",
            keep_default_na=False,
            na_values=["", *missing],
            index_col=False,  # else a separator at the end of each line moves all columns by one
        )
    for column in table.columns:
        present = table[column].dropna()
        if len(present) and present.str.fullmatch(_NUMBER).all():
            numbers = pd.to_numeric(table[column])
            if numbers.nunique() == present.nunique():  # "1.1" and "1.10" may be two versions
                table[column] = numbers
    return table


def _separator(data: bytes) -> str:
    """The one of tab, semicolon and comma that the first line has most of, outside of quotes."""
    header = re.sub(r'"[^"]*"', "", data[:_LONGEST_HEADER].decode("utf-8-sig", "ignore"))
    return max("\t;,", key=header.partition("\n")[0].count)
