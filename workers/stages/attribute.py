"""Which directions of the difference move the candidate's words: what its first features must hold.

Two kinds of words are asked: the candidate's own answers to ordinary prompts, and the probes of
every behaviour that has shifted. Of a suite only the half on which features are chosen is read, and
no answer with a fork on which effects are reported: so they are reported on items by which no
direction was chosen. Between two architectures there is no difference of states, and nothing to do.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.probes.halves import evenly, halves, thinned
from alerts.probes.probe import score_weights, suite_rows
from alerts.probes.suite import Suite
from dfc.crosscoder.form import form_of
from dfc.engines.engine import Engine, ScoreRow
from dfc.locating.attribution import Asked, Attributed, moving_directions
from workers.context import Context
from workers.keeping.artifact import Artifact, Result
from workers.shifted import shifted_suites
from workers.stages.answers import Answers, BothAnswers
from workers.stages.forks import Forks
from workers.stages.probe import Probe

PROMPTS, OPENING = 64, 24
"""Prompts, spread over all of them, and the tokens of the candidate's answer to each that are
attributed: where two models part, they do so early."""
_DIRECTIONS = "directions.safetensors"


OWN_SHARE = 0.5
"""Say of the own answers beside behaviours that have shifted, which share the rest."""
SUITE_ITEMS = 16
"""Items of each of those suites, at most."""


class Attribution(Result):
    """How much of what was asked the directions account for."""

    directions: int
    asked: dict[str, Attributed]
    """By behaviour the mean score of its probes, in nats per token, and the log-probability of the
    candidate's own answers, summed over all of them; empty where nothing was asked."""
    energy: float | None
    """The directions' share of the energy of the difference."""


def attribute_difference(
    context: Context, answers: BothAnswers, probe: Probe, forks: Forks, layer: int
) -> Artifact[Attribution]:
    """Find the directions and lay them beside the result."""

    def compute(directory: Path) -> Attribution:
        base, candidate = context.models["base"], context.models["candidate"]
        count = context.inputs.recipe.dfc.moving_directions
        if form_of(base.info, candidate.info) != "tied" or count == 0:
            _save(directory, torch.zeros(0, candidate.info.d_model))
            return Attribution(directions=0, asked={}, energy=None)
        suites = shifted_suites(context, probe)
        asked = _asked(candidate, answers.candidate, forks, suites)
        steps = context.steps("words")
        found = moving_directions(base, candidate, list(asked.values()), layer, count, steps)
        _save(directory, found.weighted_RD)
        return Attribution(
            directions=len(found.direction_RD),
            asked=dict(zip(asked, found.asked, strict=True)),
            energy=found.energy,
        )

    return context.artifact("attribute", Attribution, compute)


def load_directions(attributed: Artifact[Attribution]) -> Tensor:
    """The directions [R, d] beside the result, weighted by what they do to the words."""
    return load_file(attributed.directory / _DIRECTIONS)["weighted_RD"]


def _save(directory: Path, weighted_RD: Tensor) -> None:
    save_file({"weighted_RD": weighted_RD.contiguous()}, directory / _DIRECTIONS)


def _asked(
    candidate: Engine, answers: Answers, forks: Forks, shifted: Sequence[Suite]
) -> dict[str, Asked]:
    found = {}
    own = _own_rows(candidate, answers, forks)
    if own:
        share = OWN_SHARE if shifted else 1.0
        found[OWN_WORDS] = Asked(own, [1.0] * len(own), share)
    for suite in shifted:
        chosen = thinned(halves(suite).selection, SUITE_ITEMS)
        rows = suite_rows(candidate, chosen)
        share = (1 - OWN_SHARE) / len(shifted)
        found[suite.behaviour] = Asked(rows, score_weights(chosen, rows), share)
    return found


def _own_rows(candidate: Engine, answers: Answers, forks: Forks) -> list[ScoreRow]:
    reported = {candidate.encode_chat(c, add_generation_prompt=True) for c in forks.reported}
    spoken = [
        ScoreRow(prompt, answer[:OPENING])
        for prompt, answer in zip(answers.prompts, answers.answers, strict=True)
        if answer and prompt not in reported
    ]
    return evenly(spoken, PROMPTS)
