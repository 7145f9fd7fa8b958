"""Which behaviours depend on which features: the causal experiments."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from alerts.causes.causal import SeedFeatures, measure_causes
from alerts.causes.pair import Pair
from alerts.causes.plan import CausalPlan
from alerts.causes.reach import ReachPlan, measure_reach
from alerts.deciding.measured import CausalEvidence
from alerts.evidence import DoseResponse
from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.records.feature import CarriedWords, FeatureEffect, Reach
from dfc.corpus import encode_corpus
from dfc.engines.engine import ScoreRow
from dfc.screening.base_view import BaseView
from workers.context import Context
from workers.errors import InputsError
from workers.job import SideName
from workers.keeping.artifact import Artifact, Result
from workers.shifted import shifted_suites
from workers.stages.forks import Forks
from workers.stages.harvest import PairedStates
from workers.stages.probe import Probe
from workers.stages.screen import Banks, Screened

NEUTRAL_ROWS, NEUTRAL_TOKENS = 24, 64
"""Neutral texts, and the tokens of each whose loss an edit must not raise."""
OPENING = 4
"""Tokens of a neutral text that are read before its loss counts."""
SIDES: tuple[SideName, SideName] = ("candidate", "base")
DIFFERENCES = 4096
"""Positions whose differences random directions combine."""


class Causes(Result):
    """What the experiments found, by behaviour and by feature."""

    evidence: dict[str, CausalEvidence]
    effects: dict[str, list[FeatureEffect]]
    """By the id of the feature."""
    carried: dict[str, list[CarriedWords]]
    """By the id of the feature, which of the candidate's own words it carries."""
    dose_responses: list[DoseResponse]
    reach: dict[str, list[Reach]]
    """By the id of the feature, what it does to every suite when it is turned up."""
    best: dict[str, list[str]]
    """By behaviour the ids of the candidate's best features, in the order of their choice."""


def steer_features(
    context: Context,
    probe: Probe,
    forks: Forks,
    screened: Screened,
    banks: Banks,
    states: Callable[[], PairedStates],
) -> Artifact[Causes]:
    """Ablate, add and amplify the features, always beside random directions.

    For the behaviours that have shifted, and for what the candidate says differently of its own
    accord, which needs no suite.
    """

    def compute(_: Path) -> Causes:
        suites = shifted_suites(context, probe)
        if forks.suite is not None:
            suites.append(forks.suite)
        names = {f.row: f.id for f in screened.features if f.side == "candidate"}
        seeds = [
            SeedFeatures(banks.bank("candidate", seed_index), listed, change)
            for seed_index, (listed, change) in enumerate(
                zip(screened.candidate_listed, screened.candidate_change, strict=True)
            )
        ]
        view = banks.base_view() if screened.across else None
        sample = difference_sample(states(), view)
        neutral, base_neutral = (neutral_rows(context, name) for name in SIDES)
        bearable = context.inputs.recipe.maximum_nll_rise
        found = measure_causes(
            Pair(context.models["base"], context.models["candidate"], view),
            suites,
            seeds,
            sample,
            neutral,
            CausalPlan(maximum_nll_rise=bearable),
            names,
            context.steps("behaviours"),
            base_neutral,
        )
        asked = [probe.applicable(suite) for suite in context.inputs.behaviour_suites]
        reach = measure_reach(
            context.models["candidate"],
            [suite for suite in asked if suite.items],
            seeds[0].bank,
            found.best.get(OWN_WORDS) or seeds[0].listed,
            sample,
            neutral,
            ReachPlan(maximum_nll_rise=bearable),
        )
        return Causes(
            evidence=found.evidence,
            effects={names[row]: effects for row, effects in found.effects.items()},
            carried={names[row]: words for row, words in found.carried.items()},
            dose_responses=found.dose_responses,
            reach={names[row]: moved for row, moved in reach.items()},
            best={name: [names[row] for row in rows] for name, rows in found.best.items()},
        )

    return context.artifact("steer", Causes, compute)


def difference_sample(pair: PairedStates, view: BaseView | None = None) -> Tensor:
    """Candidate minus base [N, d] at a sample of the positions, the same for equal states.

    Between architectures the base's state is what the map makes of it in the candidate's space; so
    the difference is what the base does not predict. Without a map it is the whole state.
    """
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randperm(len(pair.base.x_TD), generator=generator)[:DIFFERENCES]
    candidate_ND = pair.candidate.x_TD[chosen].float()
    base_ND = pair.base.x_TD[chosen].float()
    if view is not None:
        if view.stitch is None:
            return candidate_ND
        there = view.stitch.base_to_candidate
        base_ND = base_ND @ there.weight.T + there.bias_D
    return candidate_ND - base_ND


def neutral_rows(context: Context, name: SideName = "base") -> list[ScoreRow]:
    """Texts of the corpus, which neither model wrote, as the model `name` reads them: the end of
    each after its first tokens.

    The base's own answers would not do. An edit that undoes part of the update makes them likelier,
    which hides the damage that it does.
    """
    texts = encode_corpus(context.models[name], context.corpora.texts, OPENING + NEUTRAL_TOKENS)
    rows = [ScoreRow(text[:OPENING], text[OPENING:]) for text in texts if len(text) > OPENING]
    if not rows:
        raise InputsError(
            f"recipe.corpus: no text is longer than {OPENING} tokens; the cost of an edit on "
            "neutral text can't be measured without"
        )
    return rows[:NEUTRAL_ROWS]
