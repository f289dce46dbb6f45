"""Tables that people bring: reading CSV and Parquet without guessing more than is safe."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd

from store.errors import LabelTableError

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
_NUMBER = r"[+-]?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?"


def read_table(path: Path) -> pd.DataFrame:
    """Reads a .csv, .tsv or .parquet file.

    In text files an empty field is missing and nothing else is ("None" and "NA" are labels), and a column
    becomes numbers only if every value is written as one ("007" stays text). Raises LabelTableError.
    """
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise LabelTableError(f"{path} is no table: expected a file ending in {', '.join(TABLE_SUFFIXES)}.")
    try:
        if path.suffix.lower() == ".parquet":
            return _read_parquet(path)
        return _read_text(path)
    except UnicodeDecodeError as error:
        raise LabelTableError(
            f"could not read the table {path}: it is not UTF-8; save it as CSV UTF-8."
        ) from error
    except FileNotFoundError:
        raise LabelTableError(f"there is no table at {path}; check the path.") from None
    except (ValueError, OSError, RuntimeError, pd.errors.ParserWarning) as error:
        raise LabelTableError(f"could not read the table {path}: {str(error).splitlines()[0]}.") from error


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow.parquet as pq  # a tenth of a second that reading a CSV need not wait for

    table: pd.DataFrame = pq.read_table(path).to_pandas(ignore_metadata=True)
    return table


def _read_text(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline()
    separator = max("\t;,", key=header.count)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # more fields than the header has
        table = pd.read_csv(
            path,
            dtype="str",
            sep=separator,
            encoding="utf-8-sig",
            keep_default_na=False,
            na_values=[""],
            index_col=False,  # else a separator at the end of each line moves all columns by one
        )
    for column in table.columns:
        present = table[column].dropna()
        if len(present) and present.str.fullmatch(_NUMBER).all():
            numbers = pd.to_numeric(table[column])
            if numbers.nunique() == present.nunique():  # "1.1" and "1.10" may be two versions
                table[column] = numbers
    return table
