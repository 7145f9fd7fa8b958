"""At which depth does the difference live? The layer whose exchange takes most of it away.

Between two architectures no state can be exchanged; then the depth is fixed beforehand.
"""

from pathlib import Path

from alerts.evidence import PatchPoint
from dfc.crosscoder.config import Form
from dfc.crosscoder.form import form_of, relative_layer
from dfc.engines.engine import ScoreRow
from dfc.locating.patch_profile import choose_layer, patch_profile
from workers.context import Context
from workers.errors import InputsError
from workers.keeping.artifact import Artifact, Result
from workers.stages.answers import Answers, BothAnswers

PROMPTS = 16
"""Prompts whose answers measure the divergence; more cost time and hardly move the profile."""
OPENING = 24
"""Tokens of each answer that are scored: where two models part, they do so early."""
DEPTHS = (0.35, 0.5, 0.65, 0.75, 0.85)
"""Where the profile is taken, as parts of the stack."""


ACROSS = 2 / 3
"""Depth between two architectures: above the middle, because an update of all blocks is only partly
visible there, and below the last third, which prepares the output of its own tokenizer."""


class Layer(Result):
    """The candidate's residual stream that is compared: the one after this block (0-based)."""

    layer: int
    points: list[PatchPoint]
    """Empty when the recipe fixes the layer, or when no state can be exchanged."""
    form: Form = "tied"
    """What the two models need."""


def choose_depth(context: Context, answers: BothAnswers) -> Artifact[Layer]:
    """The recipe's layer, else the earliest one whose exchange takes most of the divergence away,
    else the one at `ACROSS` of the stack.

    Raises InputsError when the recipe's layer is not one of the model's.
    """

    def compute(_: Path) -> Layer:
        base, candidate = context.models["base"], context.models["candidate"]
        n_layers, wanted = candidate.info.n_layers, context.inputs.recipe.layer
        form = form_of(base.info, candidate.info)
        if wanted != "auto":
            if wanted >= n_layers:
                raise InputsError(
                    f"recipe.layer: {wanted} is beyond the last block, {n_layers - 1}; choose a "
                    "lower one or 'auto'"
                )
            return Layer(layer=wanted, points=[], form=form)
        if form == "strict":
            return Layer(layer=relative_layer(ACROSS, candidate.info), points=[], form=form)
        rows, weights = divergence_rows(answers)
        found = patch_profile(
            base, candidate, rows, weights, depths(n_layers), context.steps("depths")
        )
        # Without any divergence to be seen no depth is better than the middle.
        measured = any(point.removed is not None for point in found)
        return Layer(
            layer=choose_layer(found) if measured else n_layers // 2,
            points=[PatchPoint(**point._asdict()) for point in found],
        )

    return context.artifact("profile", Layer, compute)


def depths(n_layers: int) -> list[int]:
    """The layers of the profile, without the last one: there the whole output is exchanged."""
    last = max(n_layers - 2, 0)
    return sorted({min(round(part * n_layers), last) for part in DEPTHS})


def divergence_rows(answers: BothAnswers) -> tuple[list[ScoreRow], list[float]]:
    """Rows and their weights that measure the divergence of two models in what they say themselves:
    how much more probable the candidate's answers are than the base's.

    The difference of this figure between the models estimates the sum of the divergences
    KL(candidate, base) and KL(base, candidate) per token.
    """
    signed: list[tuple[Answers, float]] = [(answers.candidate, 1.0), (answers.base, -1.0)]
    rows, weights = [], []
    for own, sign in signed:
        spoken = [pair for pair in zip(own.prompts, own.answers, strict=True) if pair[1]][:PROMPTS]
        rows += [ScoreRow(prompt, answer[:OPENING]) for prompt, answer in spoken]
        weights += [sign / len(spoken) for _ in spoken]
    return rows, weights
