"""The words and number formats for a verdict that the page, the message and the terminal share.

Only words: no markup and no escaping. What was not measured is called that, never written as 0.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from alerts.causes.explanation import Explanation
from alerts.plain_text import clip, one_line
from alerts.records.behaviour import Behaviour
from alerts.verdict import Verdict

NOT_MEASURED = "not measured"
_NAME = 40
_PLAIN = re.compile(r"[\w.+@/-]+")


class Names(NamedTuple):
    """What both versions are called where they are published; None where that is not known."""

    candidate: str | None = None
    base: str | None = None


UNNAMED = Names()


def number(value: float | None, digits: int = 2) -> str:
    """`value` with a true minus sign."""
    return NOT_MEASURED if value is None else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 2) -> str:
    """`value` with its sign, also when it is positive."""
    return NOT_MEASURED if value is None else f"{value:+.{digits}f}".replace("-", "−")


def points(difference: float | None) -> str:
    """A difference of two parts of one, in percentage points."""
    return NOT_MEASURED if difference is None else f"{signed(100 * difference, 0)}\u00a0points"


def percent(share: float | None, digits: int = 0) -> str:
    """A part of one as a percentage."""
    return NOT_MEASURED if share is None else f"{100 * share:.{digits}f}\u202f%".replace("-", "−")


def small(value: float | None) -> str:
    """A density: four decimals, or scientific where that would show little but zeros."""
    if value is None:
        return NOT_MEASURED
    return f"{value:.4f}" if value >= 0.001 or value == 0 else f"{value:.1e}".replace("e-0", "e-")


def probability(p: float | None) -> str:
    """A p-value; a very small one as a bound."""
    if p is None:
        return NOT_MEASURED
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def p_value(p: float | None) -> str:
    """A p-value as part of a sentence."""
    text = probability(p)
    return f"p {text}" if p is None or text.startswith("<") else f"p = {text}"


def calibration_sentence(verdict: Verdict) -> str:
    """By which nulls the shifts were judged, how old those are, and what was not calibrated."""
    known, sentences = verdict.calibration, []
    if known is not None:
        copies = known.n_nulls - known.n_releases
        sentences.append(
            f"Calibrated {count(round(known.age_days), 'day')} before on "
            f"{count(copies, 'numerical copy', 'numerical copies')} of the base and "
            f"{count(known.n_releases, 'accepted release')} ({short_digest(known.digest)}): a "
            "conformal p is the larger of those among the copies and among the releases, and not "
            "corrected for the number of behaviours."
        )
    return " ".join([*sentences, *filter(None, [verdict.calibration_caveat])])


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


def count(n: int, one: str, many: str | None = None) -> str:
    """`n` with its noun."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def interval(low: float | None, high: float | None) -> str:
    """The ends of a confidence interval."""
    return NOT_MEASURED if low is None or high is None else f"{number(low)} to {number(high)}"


def times_noise(behaviour: Behaviour) -> str:
    """How large the shift is, counted in noise floors."""
    if behaviour.shift is None or not behaviour.noise_floor:
        return "noise floor not measured"
    return f"{abs(behaviour.shift) / behaviour.noise_floor:.1f} × the noise floor"


def readable(name: str) -> str:
    """A behaviour's name as a word of a sentence."""
    return name.replace("_", " ")


def short_digest(digest: str) -> str:
    """The first seven characters of a digest, without the name of the hash."""
    return digest.rpartition(":")[2][:7]


def duration(seconds: float) -> str:
    """A time as a person says it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


class Concluded(Protocol):
    """A verdict, or as much of one as a list shows."""

    @property
    def verdict(self) -> str: ...

    @property
    def severity(self) -> str | None: ...


def verdict_word(verdict: Concluded) -> str:
    """The verdict with its severity, if it has one."""
    word = verdict.verdict.capitalize()
    return f"{word} ({verdict.severity})" if verdict.severity else word


def by_weight(behaviours: Iterable[Behaviour]) -> list[Behaviour]:
    """Flagged behaviours first, then the larger shift; those without a shift last."""
    return sorted(
        behaviours, key=lambda b: (not b.flagged, b.shift is None, -abs(b.shift or 0.0), b.name)
    )


def finding(verdict: Verdict) -> str:
    """What was found, in a few words that stand alone."""
    if verdict.verdict == "undecided":
        return "Could not be checked"
    risen = [b for b in by_weight(verdict.behaviours) if b.flagged]
    own = verdict.own_words
    if not risen and own is not None and own.flagged:
        return f"New stock phrases in {percent(own.phrase_share)} of its answers"
    if not risen and verdict.verdict == "flagged":
        return "A control changed, though no probed behaviour is flagged"
    if not risen:
        return "No probed behaviour rose enough to be flagged"
    named = [f"{readable(b.name)} {signed(b.shift)}" for b in risen[:2]]
    if len(risen) > 2:
        named.append(f"{len(risen) - 2} more")
    found = ", ".join(named)
    return found[0].upper() + found[1:]


def named(digest: str, name: str | None) -> str:
    """A version by its name, where it has one, and its digest."""
    short, shown = short_digest(digest), clip(one_line(name or ""), _NAME)
    if not shown:
        return short
    # A name of several words might be read as words of ours.
    return f"{shown} ({short})" if _PLAIN.fullmatch(shown) else f"“{shown}” ({short})"


def headline(verdict: Verdict, names: Names = UNNAMED) -> str:
    """What was found in which version, in one line."""
    candidate = named(verdict.candidate.digest, names.candidate)
    found = finding(verdict)
    base = named(verdict.base.digest, names.base)
    line = verdict.line or "candidate"
    return f"{line} @ {candidate}: {found[0].lower()}{found[1:]} against base {base}"


def shift_sentence(behaviour: Behaviour) -> str:
    """By how much one behaviour moved, and how sure that is."""
    name = readable(behaviour.name).capitalize()
    if behaviour.shift is None:
        return f"{name} was {NOT_MEASURED}."
    verb = "rose" if behaviour.shift > 0 else "fell"
    return (
        f"{name} {verb} by {number(abs(behaviour.shift))} nats per token, "
        f"from {number(behaviour.base_score)} to {number(behaviour.candidate_score)} "
        f"(95\u202f% interval of the shift {interval(behaviour.ci_low, behaviour.ci_high)}; "
        f"{behaviour.n_scored} items; {times_noise(behaviour)}; "
        f"corrected {p_value(behaviour.p_corrected)})."
    )


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
        "of the shift: no feature of that layer can remove more."
        if b.ceiling is not None
        else f"How much features of {where} could remove at most was {NOT_MEASURED}.",
        "Taking away the best features, five at most, removes "
        f"{percent(b.mediated_five)}{of_ceiling}{_over_items(b)}, the best one alone "
        f"{percent(b.mediated_best)}, all new ones {percent(b.mediated_all)}.",
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
    return (
        f"The control removes {percent(b.mediated_control_p95)} (95th percentile of random "
        f"directions of the same size; what the same edit takes off the base, if that is more): "
        f"{stands}."
    )


def trust_in_explanation(explanation: Explanation) -> str:
    """How well a model's description told where the feature fires, or why that is not known."""
    found = explanation.detection
    if found is None:
        return f"not scored: {explanation.unscored}"
    return (
        f"detection {number(found.score)}, 95\u202f% interval {interval(found.low, found.high)}, "
        f"n = {found.n}; decides nothing"
    )


def recommended_action(verdict: Verdict) -> str:
    """What the reviewer should do next."""
    if verdict.verdict == "undecided":
        return (
            "Treat the candidate as unchecked: keep the base in use, "
            "remove what stood in the way and run the check again."
        )
    if verdict.verdict == "passed":
        return "Nothing is needed. Trust the candidate to make it the base of the next check."
    if verdict.severity == "critical":
        return (
            "Quarantine the candidate unless this change was intended: "
            "the answers side by side show what its users would see."
        )
    return "Read the answers side by side, then trust or quarantine the candidate with a reason."
