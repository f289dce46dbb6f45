"""What is made ahead comes in order, one at a time, with its errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from classifiers.reading_ahead import ahead


def test_one_is_made_while_another_is_used() -> None:
    made = [threading.Event() for _ in range(4)]

    def items() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    for number in ahead(items()):
        if number + 1 < len(made):
            assert made[number + 1].wait(10), "the next is made before this one is given back"
        if number + 2 < len(made):
            assert not made[number + 2].wait(0.05), "and no more: each may be large"


def test_the_end_and_errors_are_passed_on() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("no second")

    assert list(ahead([])) == []
    assert list(ahead([None, 0])) == [None, 0]
    found = ahead(broken())
    assert next(found) == 1
    with pytest.raises(ValueError, match="no second"):
        next(found)


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    found = ahead(iter(range(100)))
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
