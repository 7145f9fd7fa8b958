"""`latentwatch bench steer`: how fast edits are tried on rows, and what one by one would cost.

A combination is an edit of the candidate's states and a row of a suite. The product reads the rows
once up to the layer and runs the blocks above it again for every edit, with prompts that rows share
run once. Held against it: the whole model for every combination alone, and the whole model for
every edit on all rows at once. Scores of all three have to agree, or nothing is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple, TypeVar

import torch

from alerts.probes.probe import suite_rows
from alerts.probes.suite import Suite, bundled_suites
from deploy.bench.bars import progress_bars
from deploy.bench.machine import made_with
from deploy.bench.results import Figures, keep, print_line
from deploy.bench.steer.one_by_one import OneByOne
from dfc.engines.engine import Edit, Engine, FeatureBank, ScoreRow
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import ParityError
from dfc.threads import use_threads

ALLOWED = {"float32": 1e-3, "bfloat16": 0.1}
"""Largest difference between two ways to one score, in nats per token."""
SUITE = "sycophancy"
DEPTH = 0.75
"""Of the blocks, up to the one after which is edited."""
FEATURES = 4
STRENGTHS = (0.5, 1.0, 2.0)

T = TypeVar("T")


class Size(NamedTuple):
    """How much is tried."""

    items: int
    alone: int
    """Combinations that are tried one by one in each round."""
    rounds: int


FULL = Size(6, 12, 3)
SHORT = Size(2, 4, 2)


class Round(NamedTuple):
    """Combinations per second."""

    ours: float
    at_once: float
    alone: float


def run(size: Size, base: Path, out: Path | None) -> None:
    """Print one line of JSON about the checkpoint `base`, and keep the whole result in `out`.

    Raises ParityError when the ways do not agree.
    """
    threads = use_threads()
    engine, plain = TransformersEngine(base), OneByOne(base)
    rows = suite_rows(engine, _suite(size.items))
    layer = max(0, round(DEPTH * engine.info.n_layers) - 1)
    bank, edits = _bank(engine, rows, layer), _edits()
    with progress_bars() as bars:
        task = bars.add_task(f"{len(rows)} rows, {len(edits)} edits", total=size.rounds)
        rounds = []
        for number in range(size.rounds):
            drawn = Random(number)
            some = [(drawn.choice(edits), drawn.randrange(len(rows))) for _ in range(size.alone)]
            rounds.append(_round(engine, plain, rows, bank, edits, some))
            bars.advance(task)
    summary = _summary(rounds, len(rows), len(edits))
    if out is not None:
        model = {"model": base.name, "layer": layer, "n_layers": engine.info.n_layers}
        result = {"summary": summary, "made_with": made_with(threads) | model}
        keep(out, "steer", result | {"rounds": [one._asdict() for one in rounds]})
    print_line(summary)


def _round(
    engine: Engine,
    plain: OneByOne,
    rows: list[ScoreRow],
    bank: FeatureBank,
    edits: list[Edit],
    some: list[tuple[Edit, int]],
) -> Round:
    combinations = len(rows) * len(edits)

    def ours() -> dict[Edit, list[float]]:
        replay = engine.capture(rows, bank.layer)
        return {edit: engine.score_from(replay, bank=bank, edits=[edit]) for edit in edits}

    def at_once() -> list[float]:
        return engine.score(rows, bank=bank, edits=[[edits[0]]] * len(rows))

    def alone() -> list[float]:
        return [plain.score(rows[row], bank, [edit]) for edit, row in some]

    found, our_seconds = _timed(ours)
    of_first, seconds_at_once = _timed(at_once)
    of_some, seconds_alone = _timed(alone)
    pairs = list(zip(of_first, found[edits[0]], strict=True))
    pairs += [(one, found[edit][row]) for one, (edit, row) in zip(of_some, some, strict=True)]
    worst = max(abs(one - other) for one, other in pairs)
    if not worst <= ALLOWED[engine.info.dtype]:
        raise ParityError(f"two ways to one score differ by {worst:.3g} nats per token")
    return Round(combinations / our_seconds, len(rows) / seconds_at_once, len(some) / seconds_alone)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    found = work()
    return found, time.perf_counter() - begun


def _suite(items: int) -> Suite:
    suite = bundled_suites()[SUITE]
    return suite.model_copy(update={"items": suite.items[:items]})


def _bank(engine: Engine, rows: list[ScoreRow], layer: int) -> FeatureBank:
    """Random directions as long as the states, so that every edit moves every score."""
    generator = torch.Generator().manual_seed(0)
    x_TD = engine.harvest([(*row.prompt, *row.completion) for row in rows[:8]], layer).x_TD.float()
    norm = x_TD.norm(dim=1).median()
    direction_KD = torch.nn.functional.normalize(
        torch.randn(FEATURES, engine.info.d_model, generator=generator), dim=1
    )
    nothing_K = torch.zeros(FEATURES)
    unit_K = (0.2 * norm).expand(FEATURES)
    return FeatureBank(layer, direction_KD, nothing_K, nothing_K, direction_KD, unit_K)


def _edits() -> list[Edit]:
    added = [Edit(n, offset=strength) for n in range(FEATURES) for strength in STRENGTHS]
    return [*added, *(Edit(n, gain=-1.0) for n in range(FEATURES))]


def _summary(rounds: list[Round], rows: int, edits: int) -> Figures:
    alone = [one.ours / one.alone for one in rounds]
    at_once = [one.ours / one.at_once for one in rounds]
    return {
        "benchmark": "steer",
        "rows": rows,
        "edits": edits,
        "rounds": len(rounds),
        "combinations_per_second": median(one.ours for one in rounds),
        "ratio_one_by_one": median(alone),
        "ratio_one_by_one_range": [min(alone), max(alone)],
        "ratio_at_once": median(at_once),
        "ratio_at_once_range": [min(at_once), max(at_once)],
    }
