"""The budget of memory: never more in use than there is, nobody waits for ever, and a failure gives it back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from embedder.memory_budget import MemoryBudget

SOON = 30  # seconds after which a thread hangs


def test_never_more_is_held_than_there_is() -> None:
    budget, lock = MemoryBudget(10), threading.Lock()
    held = most = 0

    def take(count: int) -> None:
        nonlocal held, most
        with budget.holding(count):
            with lock:
                held += count
                most = max(most, held)
            threading.Event().wait(0.001)
            with lock:
                held -= count

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, [1, 4, 7, 3, 9, 10, 2, 5] * 8, timeout=SOON))
    assert held == 0
    assert 0 < most <= 10


def test_who_wants_more_than_there_is_waits_to_be_alone() -> None:
    budget = MemoryBudget(10)
    entered, leave = threading.Event(), threading.Event()

    def take_all() -> None:
        with budget.holding(99):
            entered.set()
            assert leave.wait(SOON)

    with budget.holding(1):
        thread = threading.Thread(target=take_all, daemon=True)
        thread.start()
        assert not entered.wait(0.05)
    assert entered.wait(SOON)
    leave.set()
    thread.join(SOON)
    assert not thread.is_alive()


def test_a_failure_gives_back_what_it_held() -> None:
    budget = MemoryBudget(10)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), budget.holding(10):
            raise ValueError("broken")
    with budget.holding(10):
        pass
