"""The causal experiments of one diff: what carries a shift, what brings it about, and how much.

Ablation subtracts a feature's own contribution in the candidate, addition writes the feature into
the base, and every claim stands beside random directions of the difference.
Features and strengths are chosen on one half of the items; every figure is from the other half,
where the words that a feature carries are picked, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from alerts.causes.carried import carried_words
from alerts.causes.combine import combine
from alerts.causes.feature_experiments import FeatureExperiments
from alerts.causes.mediation import Mediator
from alerts.causes.pair import Pair
from alerts.causes.plan import CausalPlan
from alerts.causes.steering_bench import NeutralText, SteeringBench
from alerts.deciding.measured import CausalEvidence
from alerts.evidence import DoseResponse
from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.probes.halves import halves, thinned
from alerts.probes.suite import Suite
from alerts.records.feature import CarriedWords, FeatureEffect
from dfc.engines.engine import FeatureBank, Progress, ScoreRow

DRAWS_APART = 1000
"""Between the seeds of two suites' random directions: more than there are trainings."""


class SeedFeatures(NamedTuple):
    """One seed's candidate-exclusive features, as rows of its bank."""

    bank: FeatureBank
    listed: list[int]
    """Most important first."""
    change: list[int]
    """Those that make up the change together, whether the other seeds have found them or not."""


@dataclass
class CausalResult:
    """What was found, by behaviour and by row of the first seed's bank."""

    evidence: dict[str, CausalEvidence] = field(default_factory=dict)
    best: dict[str, list[int]] = field(default_factory=dict)
    """Rows of the first seed's bank, in the order in which they were chosen."""
    effects: dict[int, list[FeatureEffect]] = field(default_factory=dict)
    carried: dict[int, list[CarriedWords]] = field(default_factory=dict)
    """Of the candidate's own words; only where its best features carry them beyond controls, and
    for those whose ablation neutral text bears."""
    dose_responses: list[DoseResponse] = field(default_factory=list)


def measure_causes(
    models: Pair,
    suites: Sequence[Suite],
    seeds: Sequence[SeedFeatures],
    difference_ND: Tensor,
    neutral: Sequence[ScoreRow],
    plan: CausalPlan,
    names: Mapping[int, str],
    progress: Progress | None = None,
    base_neutral: Sequence[ScoreRow] | None = None,
) -> CausalResult:
    """Run the experiments for every suite given: those whose behaviour has shifted.

    ``difference_ND`` is a sample of candidate minus base at the banks' layer, ``neutral`` at least
    two ordinary texts, ``names`` the ids of the first seed's rows. ``base_neutral`` are the same
    texts as the base reads them, where it has another tokenizer. Figures are parts of a shift
    (`SteeringBench.part`): a suite that has not risen in both halves, or that has no two of them,
    is left without evidence.
    """
    layer = seeds[0].bank.layer
    choosing_text = NeutralText(models.candidate, neutral[::2], layer)
    reported_text = NeutralText(models.candidate, neutral[1::2], layer)
    base_text = NeutralText(
        models.base,
        (neutral if base_neutral is None else base_neutral)[::2],
        models.base_layer(layer),
    )
    result = CausalResult()
    for done, suite in enumerate(suites):
        half = halves(suite)
        if not half.filled:
            continue
        selection = SteeringBench(models, thinned(half.selection, plan.selection_items), layer)
        report = SteeringBench(models, thinned(half.report, plan.report_items), layer)
        if not (selection.shift > 0 and report.shift > 0):  # a shift may be not a number
            continue
        mediator = Mediator(
            selection, report, choosing_text, reported_text, difference_ND, plan.maximum_nll_rise
        )
        found = [
            # Draws of their own: else controls would agree where features do.
            mediator.mediation(
                one.bank,
                one.listed[: plan.pool],
                one.change,
                plan.controls,
                plan.seed + number + DRAWS_APART * (done + 1),
            )
            for number, one in enumerate(seeds)
        ]
        name = suite.behaviour
        evidence = combine(found, report, plan.maximum_nll_rise)
        result.evidence[name] = evidence
        result.best[name] = found[0].rows
        single = FeatureExperiments(
            name, seeds[0].bank, models.in_base(seeds[0].bank), mediator, base_text, plan
        )
        for rank, row in enumerate(found[0].rows):
            first = rank == 0
            ablation = found[0].best if first else mediator.trial(single.bank, [row])
            draws = [one.first() for one in found[0].draws] if first else []
            result.effects.setdefault(row, []).append(single.effect(row, ablation, draws))
            bearable = ablation.nll_rise <= plan.maximum_nll_rise
            if name == OWN_WORDS and _beyond_controls(evidence) and bearable:
                result.carried[row] = carried_words(
                    report.items, report.shift_I, ablation.removed_I
                )
        if found[0].rows:
            best = found[0].rows[0]
            result.dose_responses.append(single.dose_response(best, names[best]))
        if progress is not None:
            progress(done + 1, len(suites))
    return result


def _beyond_controls(evidence: CausalEvidence) -> bool:
    five, control, interval = evidence.mediated_five, evidence.control_p95, evidence.five_interval
    if five is None or control is None or interval is None:
        return False
    return five > control and interval[0] > 0
