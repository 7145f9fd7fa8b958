"""Sentences about what a behaviour did; None where there is nothing to say.

Here and in `cause_reasons` and `control_reasons` each sentence applies one limit, given as an
argument; `alerts.deciding.policy` puts them together.
"""

from collections.abc import Sequence

from alerts.deciding.measured import MeasuredBehaviour
from alerts.wording import interval, number, p_value, percent, readable


def rise(behaviour: MeasuredBehaviour, least: float) -> str:
    """That a behaviour is flagged, which it may be from `least` on, and by which figures."""
    return (
        f"{_name(behaviour)} rose by {_figures(behaviour)}; the least effect of interest is "
        f"{_least(behaviour, least)} and the noise floor {number(behaviour.noise_floor)}"
        f"{_calibrated(behaviour)}."
    )


def fall(behaviour: MeasuredBehaviour) -> str | None:
    """That a behaviour fell by as much as would be flagged if it had risen."""
    shift, high = behaviour.shift, behaviour.ci_high
    if shift is None or high is None or shift > -behaviour.minimum_effect or high >= 0.0:
        return None
    return (
        f"{_name(behaviour)} fell by {number(-shift)} nats per token (95\u202f% interval of the "
        f"shift {interval(behaviour.ci_low, high)}): reported, and no reason to flag."
    )


def gap(behaviour: MeasuredBehaviour, flagged_from: float, maximum_unscored: float) -> str | None:
    """Why a behaviour that is not flagged can't be called unchanged either, if so.

    A shift from `flagged_from` on that is not certain is such a gap, and so is a measurement too
    coarse to have shown the suite's least effect: where half the interval, or the noise floor, is
    as large as that, and such a rise is still possible. What releases lower is only the former:
    they say how far harmless updates move the items, not how precise those are.
    """
    least = behaviour.minimum_effect
    name, shift, floor = _name(behaviour), behaviour.shift, behaviour.noise_floor
    low, high = behaviour.ci_low, behaviour.ci_high
    scored = behaviour.n_scored
    if behaviour.n_items and behaviour.unscored_share > maximum_unscored:
        seen = "" if shift is None else f" The rest moved by {_figures(behaviour)}."
        return (
            f"{name} is undecided: {behaviour.n_unscored} of {behaviour.n_items} items could not "
            f"be scored, more than {percent(maximum_unscored)}.{seen}"
        )
    if shift is None or low is None or high is None or behaviour.p_corrected is None:
        return (
            f"{name} could not be measured with {scored} of {behaviour.n_items} items scored"
            f"{_not_applicable(behaviour)}."
        )
    if floor is None:
        return f"{name} moved by {_figures(behaviour)}, and its noise floor was not measured."
    if shift >= flagged_from:
        return (
            f"{name} moved by {_figures(behaviour)}: as much as the least effect of interest "
            f"({_least(behaviour, flagged_from)}), but not certainly more than noise "
            f"(floor {number(floor)}{_calibrated(behaviour)})."
        )
    if floor >= least and shift + floor >= least:
        return (
            f"{name} can't be decided: the noise floor {number(floor)} hides a shift of "
            f"{number(least)}, the least of interest; measured was {number(shift)}."
        )
    if high >= least and (high - low) / 2.0 >= least:
        return (
            f"{name} can't be decided: the 95\u202f% interval {interval(low, high)} is too wide to "
            f"exclude a shift of {number(least)}, the least of interest."
        )
    return None


def nothing_measured(behaviours: Sequence[MeasuredBehaviour]) -> str | None:
    """That no suite was run: the recipe names none, or the comparison ended before."""
    return None if behaviours else "No behaviour was measured: no suite was run."


def damage(flagged: Sequence[MeasuredBehaviour]) -> str | None:
    """That a shift beside a collapse of accuracy may be no change of behaviour."""
    if not flagged:
        return None
    names = " and ".join(readable(behaviour.name) for behaviour in flagged)
    return (
        f"With this loss of accuracy, damage to the model can't be told from a shift of {names}: "
        "the size of the shift alone does not make it critical."
    )


def _name(behaviour: MeasuredBehaviour) -> str:
    return readable(behaviour.name).capitalize()


def _least(behaviour: MeasuredBehaviour, least: float) -> str:
    lowered = " beside accepted releases" if least < behaviour.minimum_effect else ""
    return f"{number(least)}{lowered}"


def _calibrated(behaviour: MeasuredBehaviour) -> str:
    if behaviour.calibrated_threshold is None:
        return ""
    by = {None: "", "copies": " by copies of the base", "releases": " by accepted releases"}
    return (
        f", threshold of the calibration {number(behaviour.calibrated_threshold)}"
        f"{by[behaviour.threshold_source]}"
    )


def _figures(behaviour: MeasuredBehaviour) -> str:
    return (
        f"{number(behaviour.shift)} nats per token (95\u202f% interval "
        f"{interval(behaviour.ci_low, behaviour.ci_high)}, {behaviour.n_scored} items"
        f"{_not_applicable(behaviour)}, corrected "
        f"{p_value(behaviour.p_corrected)})"
    )


def _not_applicable(behaviour: MeasuredBehaviour) -> str:
    n = behaviour.n_not_applicable
    return f", {n} more not applicable because a model does not know the fact asked" if n else ""
