"""The parts of a Ray run that need no Ray: how a cluster is shared out, and what travels."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedder.entries import Entry
from embedder.errors import RunnerError
from embedder.ray_cluster import Hands, connected, share_out
from embedder.ray_tasks import LARGEST, SMALLEST, Task, Told, deal
from embedder.remote_files import read_url
from embedder.units import Unit, split_into_units

TWO, FOUR, SIXTEEN = {"CPU": 2.0}, {"CPU": 4.0}, {"CPU": 16.0}


@pytest.mark.parametrize(
    ("nodes", "wanted", "gpus", "expected"),
    [
        ([TWO], None, False, Hands(1, 2, 0)),
        ([TWO], 2, False, Hands(2, 1, 0)),
        ([TWO], 1, False, Hands(1, 2, 0)),
        ([SIXTEEN, SIXTEEN], None, False, Hands(8, 4, 0)),
        ([SIXTEEN, TWO], None, False, Hands(9, 2, 0)),
        ([SIXTEEN, TWO], 2, False, Hands(2, 8, 0)),
        ([SIXTEEN, {"CPU": 0.0}], 3, False, Hands(3, 5, 0)),
        ([FOUR, FOUR], 3, False, Hands(3, 2, 0)),
        ([{"CPU": 16.0, "GPU": 4.0}, TWO], None, True, Hands(4, 4, 1)),
        ([{"CPU": 16.0, "GPU": 4.0}, {"CPU": 2.0, "GPU": 1.0}], 2, True, Hands(2, 2, 1)),
        ([{"CPU": 1.0, "GPU": 2.0}], None, True, Hands(2, 1, 1)),
        ([{"CPU": 16.0, "GPU": 4.0}], 2, False, Hands(2, 8, 0)),
        ([TWO], None, True, Hands(1, 2, 0)),
    ],
)
def test_a_cluster_is_shared_out(
    nodes: list[dict[str, float]], wanted: int | None, gpus: bool, expected: Hands
) -> None:
    assert share_out(nodes, wanted, gpus) == expected


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 60))
def test_all_workers_that_were_asked_for_fit(processors: list[int], wanted: int) -> None:
    nodes = [{"CPU": float(count)} for count in processors]
    if wanted > sum(processors):
        with pytest.raises(RunnerError, match=f"the cluster has {sum(processors)}"):
            share_out(nodes, wanted, with_gpus=False)
        return
    hands = share_out(nodes, wanted, with_gpus=False)
    assert hands.workers == wanted
    assert sum(count // hands.processors for count in processors) >= wanted


@pytest.mark.parametrize(
    ("nodes", "wanted", "message"),
    [
        ([], None, "1 Ray worker needs at least a processor each, and the cluster has 0"),
        ([{"CPU": 16.0, "GPU": 2.0}], 3, "3 Ray workers need at least a GPU each, and the cluster has 2"),
    ],
)
def test_a_cluster_may_be_too_small(nodes: list[dict[str, float]], wanted: int | None, message: str) -> None:
    with pytest.raises(RunnerError, match=message):
        share_out(nodes, wanted, with_gpus=True)


def test_a_task_arrives_as_it_was_sent() -> None:
    odd = os.fsdecode(b"/photos/\xff.jpg")
    entries = [
        Entry("a/é.jpg", "/photos/a/é.jpg", 12, 2**62),
        Entry("\\xff.jpg", odd, -1, -1),
        Entry("b.jpg", "s3://bucket/b.jpg", 5, 0, read_url),
        Entry("c.jpg", "photos/c.jpg", 5, 0),
    ]
    task = Task(7, [Unit("first", entries[:1]), Unit("0123", entries[1:])], one_by_one=True)
    arrived = Task.unpack(task.pack())
    here = Entry("c.jpg", os.path.abspath("photos/c.jpg"), 5, 0)  # noqa: PTH100
    assert arrived == Task(
        7, [Unit("first", entries[:1]), Unit("0123", [*entries[1:3], here])], one_by_one=True
    )
    assert [entry.reader for unit in arrived.units for entry in unit.entries] == [None, None, read_url, None]
    told = Told(
        3, 1.5, {"embedded": 4}, ["a note"], {"read": {"worked": 1.0}}, {"0123": "why"}, "trouble", True
    )
    assert Told.unpack(told.pack()) == told


@settings(deadline=None)
@given(st.integers(0, 6000), st.integers(1, 9))
def test_tasks_hold_all_units_and_shrink_to_the_end(images: int, workers: int) -> None:
    units = list(split_into_units(Entry(f"{number:05d}.jpg", "", 0, 0) for number in range(images)))
    tasks = list(deal(units, workers))
    assert [unit for task in tasks for unit in task.units] == units
    assert [task.number for task in tasks] == list(range(len(tasks)))
    largest_unit = max((len(unit.entries) for unit in units), default=0)
    left = images
    for task in tasks:
        size = sum(len(unit.entries) for unit in task.units)
        assert size <= min(max(left / (2 * workers), SMALLEST), LARGEST) + largest_unit
        left -= size
    assert left == 0


def test_a_large_job_has_fewer_larger_tasks() -> None:
    units = [Unit(str(number), [Entry("", "", 0, 0)] * 1000) for number in range(1000)]
    assert len(list(deal(units, 2))) < 600
    assert max(len(task.units) for task in deal(units, 2)) == 2


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ray://head:10001", "is an address of Ray Client"),
        ("somewhere", "'somewhere' is no address of a Ray cluster: expected auto, or HOST:PORT"),
        ("127.0.0.1:1", r"no Ray cluster answers at 127.0.0.1:1 \(Connection refused\)"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_sentence(address: str, message: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(RunnerError, match=message), connected(address):
        pass
