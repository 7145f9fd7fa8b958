"""Which directions of the difference move the candidate's words: what its first features must hold.

Between two architectures there is no difference of states, and nothing to do.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dfc.attribution import moving_directions
from dfc.engine import ScoreRow
from dfc.form import form_of
from workers.artifact import Artifact, Result
from workers.context import Context
from workers.stages.answers import Answers, BothAnswers

PROMPTS, OPENING = 64, 24
"""Prompts, spread over all of them, and the tokens of the candidate's answer to each that are
attributed: where two models part, they do so early."""
_DIRECTIONS = "directions.safetensors"


class Attribution(Result):
    """How much of the candidate's own answers the directions account for, in nats over all rows."""

    directions: int
    rows: int
    gained: float | None
    """What the answers' log-probability gains with the candidate's states; None where nothing was
    asked."""
    attributed: float | None
    """What of it the gradients account for."""
    carried: float | None
    """What of that the directions carry."""
    energy: float | None
    """Their share of the energy of the difference."""


def attribute_difference(
    context: Context, answers: BothAnswers, layer: int
) -> Artifact[Attribution]:
    """Find the directions and lay them beside the result."""

    def compute(directory: Path) -> Attribution:
        base, candidate = context.models["base"], context.models["candidate"]
        rows = _rows(answers.candidate)
        tied = form_of(base.info, candidate.info) == "tied"
        count = context.inputs.recipe.dfc.moving_directions if tied and rows else 0
        if count == 0:
            _save(directory, torch.zeros(0, candidate.info.d_model))
            return Attribution(
                directions=0, rows=0, gained=None, attributed=None, carried=None, energy=None
            )
        found = moving_directions(base, candidate, rows, layer, count, context.steps("answers"))
        _save(directory, found.direction_RD)
        return Attribution(
            directions=len(found.direction_RD),
            rows=len(rows),
            gained=found.gained,
            attributed=found.attributed,
            carried=found.carried,
            energy=found.energy,
        )

    return context.artifact("attribute", Attribution, compute)


def load_directions(attributed: Artifact[Attribution]) -> Tensor:
    """The orthonormal directions [R, d] beside the result, the most effective first."""
    return load_file(attributed.directory / _DIRECTIONS)["direction_RD"]


def _save(directory: Path, direction_RD: Tensor) -> None:
    save_file({"direction_RD": direction_RD.contiguous()}, directory / _DIRECTIONS)


def _rows(answers: Answers) -> list[ScoreRow]:
    spoken = [
        ScoreRow(prompt, answer[:OPENING])
        for prompt, answer in zip(answers.prompts, answers.answers, strict=True)
        if answer
    ]
    return spoken[:: max(1, len(spoken) // PROMPTS)][:PROMPTS]
