"""What an alert is about, in one line of plain text."""

from alerts import verdict_in_words
from alerts.alert import Alert, Finding
from alerts.verdict import Verdict
from alerts.verdict_in_words import UNNAMED, Names


def alert_title(verdict: Verdict, alert: Alert | None, names: Names = UNNAMED) -> str:
    """The verdict in capitals, its severity, and what was found in which version."""
    candidate = verdict_in_words.named(verdict.candidate.digest, names.candidate)
    if alert is not None and alert.finding == Finding.UNCHECKED:
        return f"UNCHECKED: {verdict.line} @ {candidate}: nothing has been measured yet"
    word = verdict_in_words.verdict_word(verdict).replace(
        verdict.verdict.capitalize(), verdict.verdict.upper()
    )
    if alert is not None and alert.finding == Finding.FLAGGED and not verdict.behaviours:
        # The verdict only stands for one that can't be read: what it found is in the alert.
        return f"{word}: {verdict.line} @ {candidate}: {alert.found}"
    return f"{word}: {verdict_in_words.headline(verdict, names)}"
