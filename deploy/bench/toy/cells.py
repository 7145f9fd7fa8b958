"""One cell of the benchmark: a crosscoder of one form and size on one drawn toy, kept on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

from deploy.bench.toy.crosscoders import Form, Settings, train_form
from deploy.bench.toy.features import Evaluation, Feature, evaluate
from deploy.bench.toy.learning import HalfLearned, Learning
from deploy.bench.toy.universe import Sample, Scale, Universe, draw_sample, draw_universe
from deploy.demo import atomic
from dfc.crosscoder.model import Dfc
from workers.keeping.sources import sources_digest

HELD_OUT = 40_000
"""Samples on which a trained crosscoder is judged."""

Table = Literal["sizes", "one space", "null"]


class Cell(NamedTuple):
    """What is trained, on what, and the table that it belongs to."""

    table: Table
    form: Form
    latents: int
    seed: int
    scale: Scale
    settings: Settings

    @property
    def name(self) -> str:
        return f"{self.table.replace(' ', '-')}-{self.form}-{self.latents}-{self.seed}"


class Measured(NamedTuple):
    """A cell's result."""

    evaluation: Evaluation
    half_learned: HalfLearned
    cpu_seconds: float


def measure(cell: Cell, progress: Callable[[int], None] = lambda _: None) -> Measured:
    """Draw the toy, train, judge. The seed decides everything: forms of one seed see the same.

    ``progress`` hears of every step.
    """
    universe, sample, held_out = _toy(cell.scale, cell.seed, cell.settings.tokens)
    learning = Learning(universe, cell.settings.steps)

    def watch(step: int, model: Dfc) -> None:
        learning.watch(step, model)
        progress(step)

    begun = time.process_time()
    trained = train_form(
        cell.form, cell.latents, sample, cell.scale, cell.settings, cell.seed, watch
    )
    seconds = time.process_time() - begun
    return Measured(evaluate(trained, universe, held_out), learning.half_learned(), seconds)


@lru_cache(maxsize=1)
def _toy(scale: Scale, seed: int, tokens: int) -> tuple[Universe, Sample, Sample]:
    """Drawn once for the cells that follow each other on the same toy."""
    universe = draw_universe(scale, seed)
    return universe, draw_sample(universe, tokens, seed), draw_sample(universe, HELD_OUT, seed, 1)


def stored(directory: Path, cell: Cell) -> Measured | None:
    """What ``store`` kept; None where nothing is or it was measured with other settings or other
    code."""
    path = directory / f"{cell.name}.json"
    if not path.exists():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["identity"] != _identity(cell):
        return None
    evaluation = record["evaluation"]
    features = [Feature(**feature) for feature in evaluation.pop("features")]
    return Measured(
        Evaluation(features, **evaluation),
        HalfLearned(**record["half_learned"]),
        record["cpu_seconds"],
    )


def store(directory: Path, cell: Cell, measured: Measured) -> None:
    """Keep a result, whole or not at all."""
    evaluation: dict[str, Any] = measured.evaluation._asdict()
    evaluation["features"] = [feature._asdict() for feature in measured.evaluation.features]
    record = {
        "identity": _identity(cell),
        "evaluation": evaluation,
        "half_learned": measured.half_learned._asdict(),
        "cpu_seconds": measured.cpu_seconds,
    }
    text = json.dumps(record, allow_nan=False, indent=1)
    atomic.write_text(directory / f"{cell.name}.json", text + "\n")


def _identity(cell: Cell) -> dict[str, Any]:
    return {
        "form": cell.form,
        "latents": cell.latents,
        "seed": cell.seed,
        "held_out": HELD_OUT,
        "scale": cell.scale._asdict(),
        "settings": cell.settings._asdict(),
        "sources": sources_digest(__name__),
        "torch": metadata.version("torch"),
    }
