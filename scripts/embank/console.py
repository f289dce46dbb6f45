"""What a command says: results on standard output, progress and messages on standard error."""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

_PLAIN_EVERY_S = 10.0
_NUMERIC = re.compile(r"[\d.]+( %)?|[\d.]+ to [\d.]+")


def say(message: str) -> None:
    """One line for the person who runs the command."""
    print(message, file=sys.stderr, flush=True)


def print_json(document: Mapping[str, Any]) -> None:
    """The one JSON document of a command run with --json."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], least_needed: Sequence[str] = ()
) -> None:
    """A table on standard output; columns whose values are all numbers stand to the right.

    least_needed: columns to leave out, one after the other, where the terminal is too narrow for all.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if title:
        print(title)
    cells = {name: [_cell(row[number]) for row in rows] for number, name in enumerate(columns)}
    # A pipe has no width of its own: keep rows whole for the tools that read them.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
    for name in least_needed:
        if sum(max(map(len, (name, *cells[name]))) + 3 for name in cells) > console.width:
            del cells[name]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, values in cells.items():
        numeric = all(_NUMERIC.fullmatch(value) for value in values)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric)
    for row in zip(*cells.values(), strict=True):
        table.add_row(*row)
    with console.capture() as capture:
        console.print(table)
    print("\n".join(line.rstrip() for line in capture.get().strip("\n").splitlines() if line.strip()))


def percent(share: float | None) -> str:
    """0.8412 as `84.1 %`; None and NaN, what is not defined, as a dash."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.1f} %"


def interval(low: float, high: float) -> str:
    """(0.733, 0.883) as `73.3 to 88.3`."""
    return f"{100 * low:.1f} to {100 * high:.1f}"


def counted(number: int, noun: str) -> str:
    """`1 part`, `3 parts`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


@contextmanager
def progress(what: str, unit: str = "images") -> Iterator[Callable[[int, int, str], None]]:
    """Shows done of total, the rate and the time left: a bar on a terminal, else a line now and then.

    Yields a function of done, total and a remark such as `3 failed`.
    """
    if sys.stderr.isatty():
        with _bar(what, unit) as show:
            yield show
    else:
        yield _plain_lines(what, unit)


@contextmanager
def _bar(what: str, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=None, rate="", remark="")
        first: list[tuple[float, int]] = []

        def show(done: int, total: int, remark: str = "") -> None:
            first.append((time.monotonic(), done)) if not first else None
            seconds = time.monotonic() - first[0][0]
            rate = f"{(done - first[0][1]) / seconds:.0f} {unit}/s" if seconds > 0.5 else ""
            bars.update(task, completed=done, total=total, rate=rate, remark=remark)

        yield show


def _plain_lines(what: str, unit: str) -> Callable[[int, int, str], None]:
    first: list[tuple[float, int]] = []  # when the count began to move, which may be long after the start
    last = time.monotonic()

    def show(done: int, total: int, remark: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if done and not first:
            first.append((now, done))
        if now - last < _PLAIN_EVERY_S or not done:
            return
        last = now
        rate = (done - first[0][1]) / (now - first[0][0] or math.inf)
        speed = f", {rate:.0f} a second, about {(total - done) / rate:.0f} s left" if rate else ""
        say(f"{what}: {done} of {total} {unit}{speed}. {remark}".rstrip())

    return show


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value)
