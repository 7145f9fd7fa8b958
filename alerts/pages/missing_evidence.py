"""What a reviewer is told where the evidence beside a verdict can't be shown."""

from alerts import verdict_in_words
from alerts.evidence import Evidence
from alerts.verdict import Verdict

NOT_HERE = (
    "The evidence is not on the host that sends this: answers, doses and figures of features are "
    "left out, and there is no report to open."
)


def is_missing(evidence: Evidence) -> bool:
    """Whether nothing was read but, perhaps, why."""
    return evidence.model_copy(update={"caveats": []}) == Evidence()


def action_without_answers(verdict: Verdict) -> str:
    """What to do next, for who can't see the answers side by side."""
    if verdict.verdict != "flagged":
        return verdict_in_words.recommended_action(verdict)
    if verdict.severity == "critical":
        return (
            "Quarantine the candidate unless this change was intended; what its users would see "
            "can't be shown here."
        )
    return (
        "The answers can't be shown here: look for them where the check ran, then trust or "
        "quarantine the candidate with a reason."
    )
