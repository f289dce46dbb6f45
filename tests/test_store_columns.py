"""Strings and hashes as HDF5 holds them: what goes in comes out, and nothing else is taken."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.columns import HASH_BYTES, hashes_from_hex, hashes_to_hex, pack_strings, unpack_strings

_TEXTS = st.lists(st.text(max_size=12), max_size=20)
_HASHES = st.lists(st.binary(min_size=HASH_BYTES, max_size=HASH_BYTES), max_size=12)


@settings(deadline=None)
@given(values=_TEXTS)
def test_strings_come_back(values: list[str]) -> None:
    text, ends = pack_strings(values)
    assert text.tobytes() == "".join(values).encode()
    assert ends.dtype == np.int64
    assert ends.tolist() == np.cumsum([len(value.encode()) for value in values], dtype=int).tolist()
    assert unpack_strings(text, ends).tolist() == values


@settings(deadline=None)
@given(first=_TEXTS, second=_TEXTS, start=st.integers(0, 5))
def test_columns_that_were_joined_or_sliced_come_back(
    first: list[str], second: list[str], start: int
) -> None:
    """pandas keeps such columns in pieces, or as a window on another one's bytes."""
    column = pd.concat([pd.Series(first, dtype="str"), pd.Series(second, dtype="str")], ignore_index=True)
    sliced = column.iloc[start:]
    assert unpack_strings(*pack_strings(column)).tolist() == first + second
    assert unpack_strings(*pack_strings(sliced)).tolist() == (first + second)[start:]


@pytest.mark.parametrize(
    "ends",
    [[2], [4], [2, 1, 3], [-1, 3], [3, 2], [2**63 - 1, -(2**63), -1, 3]],
    ids=["too short", "too long", "backwards", "negative", "past the end", "wrapping around"],
)
def test_ends_that_do_not_fit_are_refused(ends: list[int]) -> None:
    with pytest.raises(ValueError, match=r"ends of its strings|[Oo]ffset"):
        unpack_strings(np.frombuffer(b"abc", np.uint8), np.array(ends, np.int64))


@pytest.mark.parametrize(
    ("text", "ends"), [(b"\xff", [1]), ("é".encode(), [1, 2])], ids=["bytes", "cut letter"]
)
def test_bytes_that_are_no_text_are_refused(text: bytes, ends: list[int]) -> None:
    with pytest.raises(ValueError, match="UTF8"):
        unpack_strings(np.frombuffer(text, np.uint8), np.array(ends, np.int64))


@settings(deadline=None)
@given(hashes=_HASHES)
def test_hashes_come_back(hashes: list[bytes]) -> None:
    array = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, HASH_BYTES)
    column = hashes_to_hex(array)
    assert column.tolist() == [digest.hex() for digest in hashes]
    for again in (hashes_from_hex(column), hashes_from_hex(iter(column.str.upper()))):
        assert again.dtype == np.uint8
        assert np.array_equal(again, array)


@settings(deadline=None)
@given(texts=st.lists(st.text("0aF g", min_size=29, max_size=35), min_size=1, max_size=3))
def test_only_32_hex_digits_are_a_hash(texts: list[str]) -> None:
    if all(re.fullmatch("[0-9a-fA-F]{32}", text) for text in texts):
        assert len(hashes_from_hex(texts)) == len(texts)
    else:
        with pytest.raises(ValueError, match="hex"):
            hashes_from_hex(texts)


def test_hashes_whose_lengths_even_out_are_refused() -> None:
    with pytest.raises(ValueError, match="32 hex digits"):
        hashes_from_hex(["a" * 31, "b" * 33])
