"""Both models, unsteered, on every probe suite; and noisy copies of the base: the noise floor."""

from collections.abc import Sequence
from pathlib import Path

from alerts.deciding.measured import MeasuredBehaviour
from alerts.probes.knowledge import applicable
from alerts.probes.shifts import SuiteScores, accuracy, measure_behaviours
from alerts.probes.suite import Suite
from workers.context import Context
from workers.item_scores import (
    NULL_COPIES,
    Scores,
    floats,
    model_scores,
    noisy_nulls,
    not_known_to,
)
from workers.job import SideName
from workers.keeping.artifact import Artifact, Result


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
