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
    """That the candidate says nothing to many prompts which the base answers, so that what it would
    say, and its new habits, can't be seen."""
    base, candidate = controls.base.answered, controls.candidate.answered
    if not base or candidate is None or candidate >= minimum * base:
        return None
    return (
        f"The candidate says anything at all to {percent(candidate)} of the ordinary prompts only, "
        f"the trusted version to {percent(base)}: what it says differently can't be judged by so "
        "few answers."
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
