"""The causal experiments as work: how often each of their texts is read again from the layer.

Counted after `causal`, `mediation` and `reach` of `alerts.causes`, for features that are all there
to be tried.
"""

from typing import NamedTuple

from workers.cost.diff import PlannedDiff
from workers.cost.plan import EFFORT
from workers.cost.shape import Shape
from workers.cost.texts import SuiteTokens
from workers.cost.work import Work, read


def steer(diff: PlannedDiff) -> Work:
    """Flagged behaviours and the candidate's own words one by one, then all behaviours at once."""
    neutral = SuiteTokens(EFFORT.neutral_rows, EFFORT.neutral_rows * EFFORT.neutral_tokens, 0)
    neutral = neutral._replace(completions=neutral.tokens)
    causes = [_causes(diff, suite, neutral.part(EFFORT.neutral_rows / 2)) for suite in diff.steered]
    everything = [suite.part(EFFORT.reach_items) for suite in diff.texts.behaviours]
    again = 1 + EFFORT.reach_features * (1 + EFFORT.reach_controls)
    reach = [
        below(diff, diff.candidate, suite).plus(above(diff, diff.candidate, suite).times(again))
        for suite in everything
    ]
    return Work().plus(*causes, *reach)


class Readings(NamedTuple):
    """How often the texts of one suite are read from the layer, once they are captured."""

    selection: int
    report: int
    text: int
    """Half of the neutral text."""


def readings(seeds: int) -> Readings:
    """In both models together: an edit of the base costs what one of the candidate does."""
    best = EFFORT.best
    doses = EFFORT.doses * (1 + EFFORT.dose_controls)
    singly = 2 * best - 1  # the first one's ablation is known by then
    controls = (seeds + 2) * EFFORT.controls  # of the sets, of the best one, of its addition
    return Readings(
        selection=best * EFFORT.strengths,
        report=1 + seeds * 4 + singly + controls + doses,
        text=seeds * (1 + EFFORT.controls + 3) + best * (1 + EFFORT.strengths) - 1 + EFFORT.doses,
    )


def _causes(diff: PlannedDiff, suite: SuiteTokens, text: SuiteTokens) -> Work:
    selection = suite.part(min(EFFORT.selection_items, suite.items / 2))
    report = suite.part(min(EFFORT.report_items, suite.items / 2))
    again = readings(len(diff.recipe.seeds))
    captured = [
        below(diff, model, part).plus(above(diff, model, part))
        for model in diff.models
        for part in (selection, report)
    ]
    return Work().plus(
        *captured,
        gradients(diff, selection),
        above(diff, diff.candidate, selection).times(again.selection),
        above(diff, diff.candidate, report).times(again.report),
        above(diff, diff.candidate, text).times(again.text),
    )


def gradients(diff: PlannedDiff, texts: SuiteTokens) -> Work:
    """The states of both models are read up to the layer, of two architectures the candidate's
    alone; from there on the candidate reads them once, and once back."""
    lower = [below(diff, model, texts) for model in (diff.models if diff.tied else diff.models[1:])]
    return above(diff, diff.candidate, texts).times(2).plus(*lower)


def below(diff: PlannedDiff, model: Shape, texts: SuiteTokens) -> Work:
    """One reading up to the layer."""
    return read(model, texts.tokens, texts.context, blocks=diff.depth)


def above(diff: PlannedDiff, model: Shape, texts: SuiteTokens) -> Work:
    """One reading from the kept states at the layer."""
    upper = 1 - diff.depth
    return read(model, texts.tokens, texts.context, blocks=upper, heads=texts.completions)
