"""The row index answers as a dict would, whatever hashes share their beginnings."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from store.index import RowIndex

# Few different bytes, so that hashes are often equal, and often equal in the eight bytes that are sorted.
_HASHES = st.builds(
    lambda head, tail: head * 8 + tail * 8,
    st.sampled_from([b"\0", b"\1", b"\xff"]),
    st.sampled_from([b"\0", b"\xff"]),
)
_PAIRS = st.lists(st.tuples(_HASHES, st.sampled_from([0, 1, 2, -1, 32767])), max_size=40)


def _array(hashes: list[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 16)


@settings(deadline=None)
@given(pairs=_PAIRS, wanted=st.lists(_HASHES, max_size=12), view=st.sampled_from([0, 1, -1, 32767]))
def test_it_finds_what_a_dict_finds(pairs: list[tuple[bytes, int]], wanted: list[bytes], view: int) -> None:
    expected: dict[tuple[bytes, int], int] = {}
    for row, pair in enumerate(pairs):
        expected.setdefault(pair, row)  # the first counts
    index = RowIndex(_array([hash_ for hash_, _ in pairs]), np.array([v for _, v in pairs], np.int16))
    found = index.find(_array(wanted), view)
    assert found.dtype == np.int64
    assert found.tolist() == [expected.get((hash_, view), -1) for hash_ in wanted]
    assert index.unique_count() == len(expected)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 300))
def test_it_finds_random_hashes(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 256, (n, 16), dtype=np.uint8)
    index = RowIndex(hashes, np.zeros(n, np.int16))
    order = random.permutation(n)
    assert index.find(hashes[order]).tolist() == order.tolist()
    assert (index.find(hashes, view=1) == -1).all()
    assert (index.find(random.integers(0, 256, (9, 16), dtype=np.uint8)) == -1).all()
    assert index.unique_count() == n


def test_hashes_that_are_a_view_of_other_memory() -> None:
    wide = np.random.default_rng(0).integers(0, 256, (50, 40), dtype=np.uint8)
    hashes = wide[::2, 3:19]
    assert RowIndex(hashes, np.zeros(25, np.int16)).find(hashes[::-1]).tolist() == list(range(25))[::-1]
