"""The item scores of one model on one suite, shared by all diffs with it.

They depend on the model, the items and the code here alone: what is decided by them may change, and
no model is asked again.
"""

import math
from pathlib import Path
from typing import get_args

from alerts.probes.knowledge import facts, not_known
from alerts.probes.probe import item_scores, suite_rows
from alerts.probes.suite import Suite, items_digest
from dfc.canonical import digest_of
from dfc.engines.engine import Engine
from dfc.perturbation import Noise, Perturbation
from workers.context import Context
from workers.job import SideName
from workers.keeping.artifact import Result
from workers.keeping.stage_keys import code_of

NULL_COPIES = 3
NULL_NOISE = 0.01
"""Part of each tensor's root mean square: as much as a change of precision, nothing that a
behaviour should notice."""

Scores = list[float | None]


class ItemScores(Result):
    """The score of every item of one suite in one model; None where an item could not be scored."""

    scores: Scores


class NullScores(Result):
    """The item scores of copies of the base, by behaviour."""

    scores: list[dict[str, Scores]]


def score_digest(suite: Suite) -> str:
    """SHA-256 (hex) of what a score on `suite` depends on besides the model."""
    return digest_of([items_digest(suite), code_of("workers.item_scores")])


def model_scores(context: Context, name: SideName, suite: Suite) -> Scores:
    """The item scores of model `name`, computed once for all diffs with it."""
    key = f"scores/{context.job.side(name).content_digest}/{score_digest(suite)}"

    def compute(_: Path) -> ItemScores:
        context.progress.step(f"{name}: {suite.behaviour}", 0, len(suite.items))
        return ItemScores(scores=_score(context.models[name], suite))

    return context.shared(key, ItemScores, compute).result.scores


def not_known_to(context: Context, suite: Suite) -> dict[str, list[SideName]]:
    """By the id of each item of `suite` that does not apply: the models that do not know what it
    takes for granted."""
    asked = facts(suite)
    found: dict[str, list[SideName]] = {}
    if asked is not None:
        for name in get_args(SideName):
            for item in not_known(asked, model_scores(context, name, asked)):
                found.setdefault(item, []).append(name)
    return found


def noisy_nulls(context: Context, copies: int) -> list[dict[str, Scores]]:
    """The item scores of as many noisy copies of the base; the first ones are always the same."""
    nulls = []
    for copy in range(copies):
        context.progress.step("noisy copies of the base", copy, copies)
        nulls += copy_scores(context, Noise(NULL_NOISE, copy))
    return nulls


def copy_scores(context: Context, *changes: Perturbation) -> list[dict[str, Scores]]:
    """The item scores of copies of the base on all behaviour suites, computed once.

    Kept all together or not at all, so that copies which have to agree are scored by one process:
    another may run with other threads, which can change the last digit of a score.
    """
    suites = context.inputs.behaviour_suites
    named = [[type(change).__name__, change] for change in changes]
    made_of = [[score_digest(suite) for suite in suites], named]
    key = f"null/{context.job.base.content_digest}/{digest_of(made_of)}"

    def compute(_: Path) -> NullScores:
        found = []
        for change in changes:
            engine = context.models.noisy_base(change)
            found.append({suite.behaviour: _score(engine, suite) for suite in suites})
        return NullScores(scores=found)

    return context.shared(key, NullScores, compute).result.scores


def _score(engine: Engine, suite: Suite) -> Scores:
    scores = item_scores(suite, engine.score(suite_rows(engine, suite)))
    return [score if math.isfinite(score) else None for score in scores.tolist()]


def floats(scores: Scores) -> list[float]:
    """The scores with NaN where an item could not be scored."""
    return [math.nan if score is None else score for score in scores]
