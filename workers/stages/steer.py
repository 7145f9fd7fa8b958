"""Which behaviours depend on which features: the causal experiments on what has shifted."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from alerts import steering_bench
from alerts.causal import CausalPlan, SeedFeatures, measure_causes
from alerts.evidence import DoseResponse
from alerts.measured import CausalEvidence, MeasuredBehaviour
from alerts.policy import Policy
from alerts.suite import Suite
from alerts.verdict import FeatureEffect
from dfc.engine import ScoreRow
from workers.artifact import Artifact, Result
from workers.context import Context
from workers.stages.answers import BothAnswers
from workers.stages.harvest import Pair
from workers.stages.probe import Probe
from workers.stages.screen import Banks, Screened

NEUTRAL_ROWS = 20
NEUTRAL = frozenset({None, "advice", "chat", "explain", "request"})
"""Categories of prompts that no probed behaviour is about; None is a prompt without a category."""
DIFFERENCES = 4096
"""States from which the covariance of the difference is estimated."""


class Causes(Result):
    """What the experiments found, by behaviour and by feature."""

    evidence: dict[str, CausalEvidence]
    effects: dict[str, list[FeatureEffect]]
    """By the id of the feature."""
    dose_responses: list[DoseResponse]
    best: dict[str, list[str]]
    """By behaviour the ids of the candidate's best features, in the order of their choice."""


def steer_features(
    context: Context,
    answers: BothAnswers,
    probe: Probe,
    screened: Screened,
    banks: Banks,
    states: Callable[[], Pair],
) -> Artifact[Causes]:
    """Ablate, add and amplify the features, always beside random directions.

    Only for behaviours that have shifted: there is nothing to explain in the others.
    """

    def compute(_: Path) -> Causes:
        suites = shifted_suites(
            context.inputs.behaviour_suites,
            probe.measured(context.inputs.behaviour_suites),
            context.inputs.policy,
        )
        if not suites:
            return Causes(evidence={}, effects={}, dose_responses=[], best={})
        names = {f.row: f.id for f in screened.features if f.side == "candidate"}
        found = measure_causes(
            steering_bench.Pair(context.models["base"], context.models["candidate"]),
            suites,
            _features_of_seeds(screened, banks),
            _differences(states()),
            _neutral_rows(context, answers),
            CausalPlan(maximum_nll_rise=context.inputs.policy.maximum_nll_rise),
            names,
            context.steps("behaviours"),
        )
        return Causes(
            evidence=found.evidence,
            effects={names[row]: effects for row, effects in found.effects.items()},
            dose_responses=found.dose_responses,
            best={name: [names[row] for row in rows] for name, rows in found.best.items()},
        )

    return context.artifact("steer", Causes, compute)


def shifted_suites(
    suites: list[Suite], measured: list[MeasuredBehaviour], policy: Policy
) -> list[Suite]:
    """The suites whose behaviour rose or fell by as much as is of interest, and certainly so."""
    return [
        suite
        for suite, behaviour in zip(suites, measured, strict=True)
        if behaviour.shift is not None
        and behaviour.ci_low is not None
        and behaviour.ci_high is not None
        and abs(behaviour.shift) >= behaviour.minimum_effect
        and abs(behaviour.shift) > policy.noise_factor * (behaviour.noise_floor or 0.0)
        and (behaviour.ci_low > 0.0 or behaviour.ci_high < 0.0)
    ]


def _features_of_seeds(screened: Screened, banks: Banks) -> list[SeedFeatures]:
    """The first seed's short list; of the other seeds, which only vote, whatever is alive."""
    listed = [f.row for f in screened.short_list if f.side == "candidate"]
    pools = [listed, *screened.candidate_order[1:]]
    return [
        SeedFeatures(banks.bank("candidate", seed_index), pool)
        for seed_index, pool in enumerate(pools)
    ]


def _differences(pair: Pair) -> Tensor:
    """A sample of raw candidate-minus-base states, the same for equal states."""
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randperm(len(pair.base.x_TD), generator=generator)[:DIFFERENCES]
    return pair.candidate.x_TD[chosen].float() - pair.base.x_TD[chosen].float()


def _neutral_rows(context: Context, answers: BothAnswers) -> list[ScoreRow]:
    """The base's own answers to prompts that no behaviour is about."""
    rows = [
        ScoreRow(prompt, answer)
        for chat, prompt, answer in zip(
            context.corpora.prompts, answers.base.prompts, answers.base.answers, strict=True
        )
        if chat.category in NEUTRAL and answer
    ]
    return rows[:NEUTRAL_ROWS]
