"""What it takes to embed many images: time, bytes, parts, requests and money, from measured figures.

Everything is counted in core-seconds an image: one number to decode, one to run the backbone, one for the rest
(copying, committing, Python). A fleet divides them. What was not measured is scaled or taken from others, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from embedder.backbones import BACKBONES
from embedder.bank import COMMIT_ROWS

HOUR = 3600.0


@dataclass(frozen=True)
class Reference:
    """A processor that was measured.

    infer: core-seconds a picture, by backbone and precision. decode: of a JPEG of 430 × 420, 80 KB, to a backbone's
    size. rest: of everything else that the job does for an image. source: where it was measured.
    """

    name: str
    infer: Mapping[tuple[str, str], float]
    decode: float
    rest: float
    source: str


# docs/benchmarks.md, "Embedding" (2026-11-23): core-milliseconds of two cores, the whole job.
EPYC = Reference(
    "EPYC (Zen 5), bfloat16 by AVX-512",
    {
        ("MobileNetV2", "float32"): 7.80e-3,
        ("MobileNetV2", "bfloat16"): 4.10e-3,
        ("ResNet50", "float32"): 71.71e-3,
        ("ResNet50", "bfloat16"): 35.55e-3,
        ("Xception", "bfloat16"): 99.31e-3,
    },
    decode=2.8e-3,
    rest=2.1e-3,
    source="docs/benchmarks.md",
)
# The engine alone on one core, images a second: ResNet50 21.4 and 138, Xception 15.8 and 76.5, MobileNetV2 124 and 327.
XEON = Reference(
    "Xeon with AMX",
    {
        ("MobileNetV2", "float32"): 1 / 124,
        ("MobileNetV2", "bfloat16"): 1 / 327,
        ("ResNet50", "float32"): 1 / 21.4,
        ("ResNet50", "bfloat16"): 1 / 138,
        ("Xception", "float32"): 1 / 15.8,
        ("Xception", "bfloat16"): 1 / 76.5,
    },
    decode=2.8e-3,
    rest=2.1e-3,
    source="engine alone, one core; decoding and the rest as on the EPYC",
)
REFERENCES = (EPYC, XEON)


@dataclass(frozen=True)
class Gpu:
    """Images a second of ResNet50 at 224 pixels, in float32 and in half precision, as somebody else published them."""

    name: str
    float32: float
    half: float
    source: str


_NVIDIA = (
    "NVIDIA, DeepLearningExamples, PyTorch ResNet50 v1.5, README, inference at a batch of 256, pytorch-21.03; not "
    "measured by us"
)
GPUS: Mapping[str, Gpu] = {
    "T4": Gpu("T4", 415.0, 1198.0, _NVIDIA),
    "V100": Gpu("V100", 1261.0, 3382.0, _NVIDIA),
}

# Multiply-adds of one picture at the native size, in 10⁹, as the models' papers give them: He et al. 2015, Szegedy et
# al. 2015 and 2016, Chollet 2016, Simonyan & Zisserman 2014, Howard et al. 2017 and 2019, Sandler et al. 2018, Huang et
# al. 2016, Zoph et al. 2017, Tan & Le 2019 and 2021, Liu et al. 2022.
MULTIPLY_ADDS: Mapping[str, float] = {
    **{"ResNet50": 3.8, "ResNet101": 7.6, "ResNet152": 11.3},
    **{"ResNet50V2": 3.8, "ResNet101V2": 7.6, "ResNet152V2": 11.3},
    **{"Xception": 8.4, "InceptionV3": 5.7, "InceptionResNetV2": 13.2, "VGG16": 15.5, "VGG19": 19.6},
    **{"MobileNet": 0.569, "MobileNetV2": 0.300, "MobileNetV3Large": 0.219, "MobileNetV3Small": 0.056},
    **{"DenseNet121": 2.9, "DenseNet169": 3.4, "DenseNet201": 4.3},
    **{"NASNetMobile": 0.564, "NASNetLarge": 23.8},
    **{"EfficientNetB0": 0.39, "EfficientNetB1": 0.70, "EfficientNetB2": 1.0, "EfficientNetB3": 1.8},
    **{"EfficientNetB4": 4.2, "EfficientNetB5": 9.9, "EfficientNetB6": 19.0, "EfficientNetB7": 37.0},
    **{"EfficientNetV2S": 8.8, "EfficientNetV2M": 24.0, "EfficientNetV2L": 53.0},
    **{
        "ConvNeXtTiny": 4.5,
        "ConvNeXtSmall": 8.7,
        "ConvNeXtBase": 15.4,
        "ConvNeXtLarge": 34.4,
        "ConvNeXtXLarge": 60.9,
    },
}

_WRITES_A_PART = 4  # the part and its listing file, each put and listed once
# Seen in files of 4,096 rows with keys of 36 letters.
ROW_BYTES = 79  # of a part, beside the vector: hash, view, key, source
LISTED_BYTES = 106  # of a listing, an image
INDEX_BYTES = 34  # of the index in the store's cache, a row
# Of a ridge board, a row of 2,048 dimensions: docs/benchmarks.md, "The large board".
BOARD_SECONDS = 70e-6


@dataclass(frozen=True)
class Prices:
    """In any currency; None is not known, and leaves its part of the money out.

    A core or GPU for an hour, a gigabyte (10⁹) for a month, a thousand requests that write or list, and that read.
    """

    core_hour: float | None = None
    gpu_hour: float | None = None
    gigabyte_month: float | None = None
    thousand_writes: float | None = None
    thousand_reads: float | None = None


EXAMPLE_PRICES = Prices(
    0.04, 0.60, 0.023, 0.005, 0.0004
)  # round numbers of 2026-11, of no vendor: put in your own


@dataclass(frozen=True)
class Fleet:
    """Machines of so many cores and GPUs each; with GPUs the cores only decode. efficiency: of the whole, measured."""

    machines: int = 1
    cores: int = 2
    gpu: str | None = None
    gpus: int = 0
    reference: Reference = EPYC
    efficiency: float = 0.9


@dataclass(frozen=True)
class Work:
    """What is to be embedded. image_bytes: of a file. image_size: None is the backbone's own."""

    images: int
    backbone: str = "ResNet50"
    precision: str = "float32"
    dtype: str = "float16"
    image_bytes: int = 80_000
    image_size: int | None = None
    views: int = 1


@dataclass(frozen=True)
class Cost:
    """hours: of the wall clock. estimated: whether the backbone was scaled from another, not measured.

    vector_bytes: of parts. other_bytes: of the listing and the cached index. writes, reads: requests, of which each
    image that is a file of its own is one read. board_hours: of the wall clock, a ridge board on all rows. compute,
    requests: money for them; storage: for a month; each None where a price is not known.
    """

    images_per_second: float
    hours: float
    core_hours: float
    gpu_hours: float
    estimated: bool
    parts: int
    parts_per_hour: float
    vector_bytes: int
    other_bytes: int
    writes: int
    reads: int
    board_hours: float
    compute: float | None
    requests: float | None
    storage: float | None


def infer_seconds(
    backbone: str, precision: str, reference: Reference = EPYC, image_size: int | None = None
) -> tuple[float, bool] | None:
    """Core-seconds a picture, and whether they are scaled from ResNet50 by multiply-adds; None if those are unknown.

    Another image size scales them by its area.
    """
    if backbone not in BACKBONES:
        return None
    area = 1.0 if image_size is None else (image_size / BACKBONES[backbone].size) ** 2
    measured = reference.infer.get((backbone, precision))
    if measured is not None:
        return measured * area, False
    known = reference.infer.get(("ResNet50", precision))
    if known is None or backbone not in MULTIPLY_ADDS:
        return None
    return known * MULTIPLY_ADDS[backbone] / MULTIPLY_ADDS["ResNet50"] * area, True


def estimate(work: Work, fleet: Fleet | None = None, prices: Prices | None = None) -> Cost:
    """What it takes. Raises ValueError for a backbone whose multiply-adds are not known, or an unknown GPU."""
    fleet, prices = fleet or Fleet(), prices or Prices()
    found = infer_seconds(work.backbone, work.precision, fleet.reference, work.image_size)
    if found is None:
        known = ", ".join(sorted(MULTIPLY_ADDS))
        raise ValueError(
            f"there is no figure for {work.backbone} in {work.precision}. There are for {known}."
        )
    infer, estimated = found
    per_second = fleet.machines * _images_per_second(work, fleet, infer)
    hours = work.images / per_second / HOUR
    cores, gpus = fleet.machines * fleet.cores, fleet.machines * fleet.gpus
    rows = work.images * work.views
    dim = BACKBONES[work.backbone].dim
    parts = math.ceil(rows / COMMIT_ROWS)
    vectors = rows * (dim * (2 if work.dtype == "float16" else 4) + ROW_BYTES)
    other = work.images * LISTED_BYTES + rows * INDEX_BYTES
    writes, reads = _WRITES_A_PART * parts, work.images
    board = rows * BOARD_SECONDS * (dim / 2048) ** 2 / cores / HOUR
    return Cost(
        images_per_second=per_second,
        hours=hours,
        core_hours=hours * cores,
        gpu_hours=hours * gpus,
        estimated=estimated or bool(fleet.gpus),
        parts=parts,
        parts_per_hour=parts / hours,
        vector_bytes=vectors,
        other_bytes=other,
        writes=writes,
        reads=reads,
        board_hours=board,
        compute=_sum((hours * cores, prices.core_hour), (hours * gpus, prices.gpu_hour)),
        requests=_sum((writes / 1000, prices.thousand_writes), (reads / 1000, prices.thousand_reads)),
        storage=_sum(((vectors + other) / 1e9, prices.gigabyte_month)),
    )


def _images_per_second(work: Work, fleet: Fleet, infer: float) -> float:
    """Of one machine: of its cores, or of the slower of its GPUs and the cores that decode for them."""
    host = fleet.reference.decode + fleet.reference.rest * work.views
    if not fleet.gpus:
        return fleet.cores * fleet.efficiency / (host + infer * work.views)
    if fleet.gpu is None or fleet.gpu not in GPUS:
        raise ValueError(f"there is no figure for the GPU {fleet.gpu}. There are for {', '.join(GPUS)}.")
    gpu = GPUS[fleet.gpu]
    ratio = infer / fleet.reference.infer["ResNet50", work.precision]
    of_gpus = (gpu.float32 if work.precision == "float32" else gpu.half) / (ratio * work.views)
    return min(fleet.cores * fleet.efficiency / host, fleet.gpus * of_gpus)


def _sum(*amounts: tuple[float, float | None]) -> float | None:
    """The money for amounts at their prices; None if the price of one that is not 0 is unknown."""
    if any(price is None and amount for amount, price in amounts):
        return None
    return sum(amount * (price or 0.0) for amount, price in amounts)
