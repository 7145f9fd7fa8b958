"""What one behaviour did and what removes it, for the page, the message and the terminal.

Only words: no markup and no escaping.
"""

from alerts.records.behaviour import Behaviour
from alerts.wording import (
    NOT_MEASURED,
    count,
    interval,
    number,
    p_value,
    percent,
    probability,
    readable,
)


def shift_sentence(behaviour: Behaviour) -> str:
    """By how much one behaviour moved, and how sure that is."""
    name = readable(behaviour.name).capitalize()
    if behaviour.shift is None:
        return f"{name} was {NOT_MEASURED}."
    size, verb = number(abs(behaviour.shift)), "rose" if behaviour.shift > 0 else "fell"
    moved = f"{verb} by {size} nats per token"
    if size == number(0.0):  # then its direction says nothing
        moved = "did not move (less than 0.005 nats per token)"
    return (
        f"{name} {moved}, "
        f"from {number(behaviour.base_score)} to {number(behaviour.candidate_score)} "
        f"(95\u202f% interval of the shift {interval(behaviour.ci_low, behaviour.ci_high)}; "
        f"{behaviour.n_scored} items; {times_noise(behaviour)}; "
        f"corrected {p_value(behaviour.p_corrected)})."
    )


def times_noise(behaviour: Behaviour) -> str:
    """How large the shift is, counted in noise floors."""
    if behaviour.shift is None or behaviour.noise_floor is None:
        return f"noise floor {NOT_MEASURED}"
    if behaviour.noise_floor == 0.0:
        return "the noise floor is 0"
    return f"{abs(behaviour.shift) / behaviour.noise_floor:.1f} × the noise floor"


def conformal(behaviour: Behaviour) -> str:
    """The conformal p, and the nulls that it comes from."""
    text = probability(behaviour.conformal_p)
    if behaviour.conformal_source is None or behaviour.conformal_n is None:
        return text
    one = {"copies": "copy", "releases": "release"}[behaviour.conformal_source]
    return f"{text} ({count(behaviour.conformal_n, one, behaviour.conformal_source)})"


def calibrated_threshold(behaviour: Behaviour) -> str:
    """What a flagged shift has to exceed by the line's calibration, and whose demand that is."""
    text = number(behaviour.calibrated_threshold)
    return f"{text} ({behaviour.threshold_source})" if behaviour.threshold_source else text


def cause_sentences(behaviour: Behaviour, layer: int | None) -> list[str]:
    """What takes the shift away again, against the ceiling and against chance."""
    b = behaviour
    if b.mediated_five is None and b.mediated_all is None and b.mediated_best is None:
        return [f"What removes this shift was {NOT_MEASURED}: its cause is unknown."]
    of_ceiling = ""
    if b.ceiling is not None and b.ceiling > 0 and b.mediated_five is not None:
        of_ceiling = f" ({percent(b.mediated_five / b.ceiling)} of that ceiling)"
    where = "the chosen layer" if layer is None else f"layer {layer}"
    sentences = [
        f"The base's whole state put into the candidate at {where} removes {percent(b.ceiling)} "
        "of the shift: features of that layer can hardly remove more."
        if b.ceiling is not None
        else f"How much features of {where} could remove at most was {NOT_MEASURED}.",
        "Taking away the best features, five at most, removes "
        f"{percent(b.mediated_five)}{of_ceiling}{_over_items(b)}, the best one alone "
        f"{percent(b.mediated_best)}, all exclusive ones {percent(b.mediated_all)}.",
        _against_chance(b),
    ]
    if b.nll_rise is None:
        return [*sentences, f"The cost of the edit on neutral text was {NOT_MEASURED}."]
    cost = number(b.nll_rise, 3)
    return [*sentences, f"The edit costs {cost} nats per token on neutral text."]


def _over_items(b: Behaviour) -> str:
    if b.mediated_five_low is None or b.mediated_five_high is None:
        return ""
    low, high = percent(b.mediated_five_low), percent(b.mediated_five_high)
    return f" (95\u202f% interval {low} to {high}, {b.n_steered} items)"


def _against_chance(b: Behaviour) -> str:
    if b.mediated_control_p95 is None or b.mediated_five is None:
        return f"What a control removes was {NOT_MEASURED}."
    beyond = b.mediated_five > b.mediated_control_p95
    stands = "the features beat chance" if beyond else "the features do no better than chance"
    if divided := seeds_divided(b):
        stands = f"the features beat chance {divided}"
    return (
        f"The control removes {percent(b.mediated_control_p95)} (the most that any set of random "
        "directions of the same size, chosen alike, removes; how much the same edit changes the "
        f"base, if that is more): {stands}."
    )


def seeds_divided(behaviour: Behaviour) -> str:
    """In how many trainings the features remove more than their control, where they disagree; else
    nothing. The one figure of the record hides that."""
    if behaviour.mediated_five is None:
        return ""
    beats = [seed.beats_control for seed in behaviour.mediated_by_seed]
    return f"in {sum(beats)} of {len(beats)} trainings only" if len(set(beats)) > 1 else ""
