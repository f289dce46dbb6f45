"""Units: stable cuts of a list of entries, and a set of digests of fixed size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from embedder.digests import DigestSet
from embedder.sources import Entry
from embedder.units import UNIT_ENTRIES, split_into_units


def entries(count: int) -> list[Entry]:
    return [Entry(f"class/{number:06d}.jpg", "", 0, 0) for number in range(count)]


def test_units_hold_all_entries_in_their_order() -> None:
    every = entries(5000)
    units = list(split_into_units(every))
    assert [entry for unit in units for entry in unit.entries] == every
    assert len({unit.id for unit in units}) == len(units)
    assert 5000 / UNIT_ENTRIES / 2 < len(units) < 5000 / UNIT_ENTRIES * 2
    assert list(split_into_units([])) == []


def test_units_of_a_folder_that_grew_are_the_same_but_a_few() -> None:
    every = entries(5000)
    before = {unit.id: unit.entries for unit in split_into_units(every[::2])}
    after = {unit.id for unit in split_into_units(every)}
    assert before.keys() <= after
    fewer = {unit.id: unit.entries for unit in split_into_units(every[:2000] + every[2001:])}
    whole = {unit.id: unit.entries for unit in split_into_units(every)}
    assert sum(whole.get(id_) != members for id_, members in fewer.items()) <= 2


@given(st.lists(st.binary(min_size=16, max_size=16).filter(any), max_size=40))
def test_a_digest_set_is_a_set(digests: list[bytes]) -> None:
    kept = DigestSet(len(digests))
    for number, digest in enumerate(digests):
        assert (digest in kept) == (digest in digests[:number])
        kept.add(digest)
    assert all(digest in kept for digest in digests)
    assert bytes(15) + b"\x01" not in kept or bytes(15) + b"\x01" in digests
