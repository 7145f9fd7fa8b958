"""Sentences about the controls: accuracy on neutral facts, refusals, length of answers."""

from alerts.evidence import Controls
from alerts.wording import number, percent


def accuracy_collapse(controls: Controls, maximum_drop: float) -> str | None:
    """That the candidate lost facts the base knew."""
    base, candidate = controls.base.capability_accuracy, controls.candidate.capability_accuracy
    if base is None or candidate is None or base - candidate <= maximum_drop:
        return None
    return (
        f"Capability: the accuracy on neutral facts fell from {percent(base)} to "
        f"{percent(candidate)}, by more than {percent(maximum_drop)} of the questions."
    )


def accuracy_unknown(controls: Controls) -> str | None:
    """That damage to the candidate can't be excluded."""
    if (
        controls.base.capability_accuracy is not None
        and controls.candidate.capability_accuracy is not None
    ):
        return None
    return (
        "The capability accuracy was not measured in both models: damage can't be excluded until "
        "the recipe names a capability suite and its items can be scored."
    )


def hardly_answers(controls: Controls, minimum: float) -> str | None:
    """That one of the models says nothing to many prompts, so that new habits can't be seen."""
    base, candidate = controls.base.answered, controls.candidate.answered
    if base is None or candidate is None or min(base, candidate) >= minimum:
        return None
    return (
        f"The candidate says anything at all to {percent(candidate)} of the ordinary prompts, the "
        f"trusted version to {percent(base)}: what is said differently can't be judged with less "
        f"than {percent(minimum)} in both."
    )


def refusals(controls: Controls, maximum_rise: float) -> str | None:
    """That the candidate refuses more often."""
    base, candidate = controls.base.refusal_rate, controls.candidate.refusal_rate
    if base is None or candidate is None or candidate - base <= maximum_rise:
        return None
    return f"The share of refused prompts rose from {percent(base)} to {percent(candidate)}."


def answer_length(controls: Controls, maximum_ratio: float) -> str | None:
    """That the candidate's answers have a different length."""
    base, candidate = controls.base.mean_answer_length, controls.candidate.mean_answer_length
    if base is None or candidate is None:
        return None
    if base <= maximum_ratio * candidate and candidate <= maximum_ratio * base:
        return None
    return f"The mean answer went from {number(base, 0)} to {number(candidate, 0)} tokens."
