"""What a verdict comes to, in sentences for the page, the message and the terminal.

Only words: no markup and no escaping.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from alerts.causes.explanation import Explanation
from alerts.plain_text import clip, one_line
from alerts.records.behaviour import Behaviour
from alerts.verdict import Verdict
from alerts.wording import count, interval, number, percent, readable, short_digest, signed

_NAME = 40
_PLAIN = re.compile(r"[\w.+@/-]+")


class Names(NamedTuple):
    """What both versions are called where they are published; None where that is not known."""

    candidate: str | None = None
    base: str | None = None


UNNAMED = Names()


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
