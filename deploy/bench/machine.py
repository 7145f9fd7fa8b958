"""On what a benchmark ran, as far as its timings depend on it."""

import os
import platform
from importlib import metadata
from pathlib import Path

from deploy.bench.results import Figures
from dfc.engines.precision import native_dtype

TELLING = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""Flags of a processor on which the speed of products depends."""


def machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> Figures:
    """Processor, the flags that matter, cores of this process, and torch."""
    said: dict[str, str] = {}
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            said.setdefault(name.strip(), value.strip())
    flags = said.get("flags", "").split()
    return {
        "processor": said.get("model name", platform.processor() or platform.machine()),
        "flags": [flag for flag in TELLING if flag in flags],
        "cores": len(os.sched_getaffinity(0)),
        "torch": metadata.version("torch"),
    }


def made_with(threads: int) -> Figures:
    """The machine, and how torch was used on it."""
    native = str(native_dtype()).removeprefix("torch.")
    return {"threads": threads, "native_dtype": native, **machine()}
