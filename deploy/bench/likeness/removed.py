"""What the features of a training remove of what has shifted, by the experiments of the check."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from alerts.causes.causal import SeedFeatures, measure_causes
from alerts.causes.pair import Pair
from alerts.causes.plan import CausalPlan
from alerts.deciding.measured import CausalEvidence
from alerts.probes.suite import Suite
from dfc.engines.engine import Progress, ScoreRow
from dfc.screening.screen import Screening
from workers.context import Context
from workers.shifted import shifted_suites
from workers.stages.forks import Forks
from workers.stages.harvest import PairedStates
from workers.stages.probe import Probe
from workers.stages.steer import difference_sample, neutral_rows


class Shifts(NamedTuple):
    """What of one version has to be explained, and what its explanations are tried on."""

    models: Pair
    suites: list[Suite]
    """Of the behaviours that have shifted, and the candidate's own words."""
    difference_ND: Tensor
    neutral: list[ScoreRow]
    plan: CausalPlan

    def removed(self, found: Screening, progress: Progress) -> dict[str, CausalEvidence]:
        """By behaviour what is removed by the features of all seeds of a training."""
        seeds = [
            SeedFeatures(bank, listed, change)
            for bank, listed, change in zip(
                found.banks["candidate"],
                found.candidate_listed,
                found.candidate_change,
                strict=True,
            )
        ]
        names = {one.row: one.id for one in found.features if one.side == "candidate"}
        return measure_causes(
            self.models,
            self.suites,
            seeds,
            self.difference_ND,
            self.neutral,
            self.plan,
            names,
            progress,
        ).evidence


def read_shifts(context: Context, probe: Probe, forks: Forks, states: PairedStates) -> Shifts:
    """Those of a context that knows what has shifted."""
    suites = shifted_suites(context, probe)
    if forks.suite is not None:
        suites.append(forks.suite)
    return Shifts(
        Pair(context.models["base"], context.models["candidate"]),
        suites,
        difference_sample(states),
        neutral_rows(context, "candidate"),
        CausalPlan(maximum_nll_rise=context.inputs.recipe.maximum_nll_rise),
    )
