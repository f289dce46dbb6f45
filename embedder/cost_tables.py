"""The tables of docs/scale.md: `python -m embedder.cost_tables` prints them."""

from __future__ import annotations

from collections.abc import Sequence

from embedder.cost_model import EPYC, EXAMPLE_PRICES, GPUS, XEON, Fleet, Work, estimate, infer_seconds

SIZES = (1_000_000, 100_000_000, 5_000_000_000)
_FLEETS = {
    1_000_000: (Fleet(1, 2, reference=EPYC), Fleet(1, 16, reference=EPYC), Fleet(1, 16, "T4", 1)),
    100_000_000: (Fleet(1, 16, reference=EPYC), Fleet(64, 16, reference=EPYC), Fleet(16, 16, "T4", 1)),
    5_000_000_000: (Fleet(64, 16, reference=EPYC), Fleet(1000, 16, reference=EPYC), Fleet(256, 16, "T4", 1)),
}
_SPEEDS = (
    ("MobileNetV2", "float32"),
    ("MobileNetV2", "bfloat16"),
    ("ResNet50", "float32"),
    ("ResNet50", "bfloat16"),
    ("Xception", "bfloat16"),
    ("EfficientNetB0", "float32"),
    ("ConvNeXtBase", "float32"),
)


def speed_table() -> str:
    """Images a second of one core, by backbone, precision and processor."""
    rows = []
    for backbone, precision in _SPEEDS:
        cells = []
        for reference in (EPYC, XEON):
            found = infer_seconds(backbone, precision, reference)
            per_second = 1 / (found[0] + reference.decode + reference.rest) if found else 0.0
            cells.append(f"{per_second:.1f}{' (scaled)' if found and found[1] else ''}" if found else "–")
        rows.append([backbone, precision, *cells])
    return _table(["backbone", "precision", *(one.name for one in (EPYC, XEON))], rows)


def cost_table() -> str:
    """Time and money of ResNet50 in float32, stored as float16, by number of images and fleet."""
    columns = [
        "images",
        "machines × cores",
        "images/s",
        "time",
        "core-hours",
        "GPU-hours",
        "compute",
        "requests",
    ]
    rows = []
    for images in SIZES:
        for fleet in _FLEETS[images]:
            cost = estimate(Work(images), fleet, EXAMPLE_PRICES)
            rows.append(
                [
                    *(_count(images), _machines(fleet), f"{cost.images_per_second:,.0f}", _time(cost.hours)),
                    *(f"{cost.core_hours:,.0f}", f"{cost.gpu_hours:,.0f}" if fleet.gpus else "–"),
                    *(_money(cost.compute), _money(cost.requests)),
                ]
            )
    return _table(columns, rows)


def size_table() -> str:
    """What lies on disk, and what is held in memory or listed, by number of images."""
    columns = ["images", "vectors", "listing and index", "storage a month", "parts", "parts/h", "ridge board"]
    rows = []
    for images in SIZES:
        fleet = _FLEETS[images][1]
        cost = estimate(Work(images), fleet, EXAMPLE_PRICES)
        rows.append(
            [
                *(_count(images), _bytes(cost.vector_bytes), _bytes(cost.other_bytes), _money(cost.storage)),
                *(f"{cost.parts:,}", f"{cost.parts_per_hour:,.0f}"),
                f"{_time(cost.board_hours)} on {_machines(fleet)}",
            ]
        )
    return _table(columns, rows)


def gpu_table() -> str:
    """What others published."""
    rows = [[gpu.name, f"{gpu.float32:,.0f}", f"{gpu.half:,.0f}", gpu.source] for gpu in GPUS.values()]
    return _table(["GPU", "ResNet50, float32", "mixed precision", "source"], rows)


TABLES = {"speeds": speed_table, "costs": cost_table, "sizes": size_table, "gpus": gpu_table}


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _machines(fleet: Fleet) -> str:
    return f"{fleet.machines:,} × {fleet.cores}" + (f", {fleet.gpus} {fleet.gpu} each" if fleet.gpus else "")


def _count(images: int) -> str:
    return f"{images // 10**9} billion" if images >= 10**9 else f"{images // 10**6} million"


def _time(hours: float) -> str:
    if hours < 1 / 30:
        return f"{3600 * hours:.0f} s"
    if hours < 1:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:,.1f} days"


def _bytes(size: float) -> str:
    return f"{size / 1e12:.1f} TB" if size >= 1e12 else f"{size / 1e9:.1f} GB"


def _money(amount: float | None) -> str:
    return "–" if amount is None else f"{amount:,.2f}" if amount < 10 else f"{amount:,.0f}"


if __name__ == "__main__":
    for name, table in TABLES.items():
        print(f"<!-- {name} -->\n{table()}\n")  # noqa: T201
