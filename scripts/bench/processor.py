"""What the processor can do, as far as it decides what is to be expected of a measurement."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from embedder.machine import usable_processors

_UNITS = {  # by the names of /proc/cpuinfo, the quickest first
    "amx_bf16": "bfloat16 in AMX tiles",
    "avx512_bf16": "bfloat16 in AVX-512, but no AMX: the bounds for bfloat16 are not judged",
}


@dataclass(frozen=True)
class Processor:
    """bfloat16: the quickest unit for it, `amx_bf16`, `avx512_bf16` or None. cores: those this process may use."""

    model: str
    cores: int
    bfloat16: str | None

    @classmethod
    def here(cls, cpuinfo: Path = Path("/proc/cpuinfo")) -> Processor:
        """The processor of this machine; where its flags cannot be read, it counts as one without bfloat16."""
        about: dict[str, str] = {}
        for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else []:
            name, _, value = line.partition(":")
            about.setdefault(name.strip(), value.strip())
        flags = about.get("flags", "").split()
        unit = next((unit for unit in _UNITS if unit in flags), None)
        return cls(about.get("model name", "unknown processor"), usable_processors(), unit)

    def describe(self) -> str:
        """One line."""
        units = _UNITS[self.bfloat16] if self.bfloat16 else "no bfloat16 units: float32 alone is judged"
        return f"{self.cores} cores of {self.model}; {units}"
