"""Both models, unsteered, on every probe suite; and noisy copies of the base for the noise floor.

The scores of a model on a suite are shared between diffs.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from alerts.deciding.measured import MeasuredBehaviour
from alerts.probes.knowledge import applicable, facts, not_known
from alerts.probes.probe import item_scores, suite_rows
from alerts.probes.shifts import SuiteScores, accuracy, measure_behaviours
from alerts.probes.suite import Suite, items_digest
from dfc.canonical import digest_of
from dfc.engines.engine import Engine
from dfc.perturbation import Noise, Perturbation
from workers.context import Context
from workers.job import SideName
from workers.keeping.artifact import Artifact, Result
from workers.keeping.stage_keys import stage_code

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


class SuiteProbe(Result):
    """One suite in all models, [n_items] each."""

    base: Scores
    candidate: Scores
    perturbed: list[Scores]
    """Empty for a control suite, which has no shift."""
    not_known_to: dict[str, list[SideName]]
    """By the id of each item that does not apply: the models that do not know what it takes for
    granted."""


class Probe(Result):
    """All suites of the recipe, by behaviour."""

    suites: dict[str, SuiteProbe]

    def measured(self, suites: Sequence[Suite]) -> list[MeasuredBehaviour]:
        """Shift, corrected p and noise floor of each of the behaviour suites `suites`."""
        return measure_behaviours(
            [
                SuiteScores(
                    suite,
                    floats(self.suites[suite.behaviour].base),
                    floats(self.suites[suite.behaviour].candidate),
                    [floats(copy) for copy in self.suites[suite.behaviour].perturbed],
                    self.suites[suite.behaviour].not_known_to,
                )
                for suite in suites
            ]
        )

    def applicable(self, suite: Suite) -> Suite:
        """`suite` without the items that take for granted what one of the models does not know."""
        return applicable(suite, self.suites[suite.behaviour].not_known_to)

    def accuracy(
        self, suites: Sequence[Suite], name: SideName, maximum_unscored: float
    ) -> float | None:
        """The accuracy of model `name` over the items of the control suites `suites`."""
        scores = [score for suite in suites for score in self._scores(suite, name)]
        return accuracy(floats(scores), maximum_unscored) if scores else None

    def _scores(self, suite: Suite, name: SideName) -> Scores:
        probe = self.suites[suite.behaviour]
        return probe.base if name == "base" else probe.candidate


def probe_models(context: Context) -> Artifact[Probe]:
    """The item scores of both models and of the noisy copies."""

    def compute(_: Path) -> Probe:
        suites = context.inputs.suites
        base = {suite.behaviour: model_scores(context, "base", suite) for suite in suites}
        candidate = {suite.behaviour: model_scores(context, "candidate", suite) for suite in suites}
        nulls = noisy_nulls(context, NULL_COPIES)
        return Probe(
            suites={
                suite.behaviour: SuiteProbe(
                    base=base[suite.behaviour],
                    candidate=candidate[suite.behaviour],
                    perturbed=[null[suite.behaviour] for null in nulls if suite.behaviour in null],
                    not_known_to=not_known_to(context, suite),
                )
                for suite in suites
            }
        )

    return context.artifact("probe", Probe, compute)


def score_digest(suite: Suite) -> str:
    """SHA-256 (hex) of what a score on `suite` depends on besides the model."""
    return digest_of([items_digest(suite), stage_code("probe")])


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
