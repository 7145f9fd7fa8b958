"""What the end of a comparison writes into its row, and what is said about it."""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy.orm import Session

from alerts.verdict import to_json
from alerts.verdict_in_words import verdict_word
from monitor.jobs import diff_endings
from workers.dispatch.claim import Claim
from workers.processes.supervisor import Ending
from workers.verdicts.outcome import Outcome


class Conclusion(NamedTuple):
    """`write` does it, under the claim's fence, at the time that it is given."""

    write: Callable[[Session, float], None]
    told: str


def conclude(claim: Claim, ended: Outcome | Ending) -> Conclusion:
    """What to do about the diff of `claim`, which ended so."""
    diff_id, fence = claim.diff_id, claim.fence
    if isinstance(ended, Outcome):
        verdict, failure = ended.verdict, ended.failure
        text = to_json(verdict)
        return Conclusion(
            lambda session, now: diff_endings.finish(session, diff_id, fence, text, now, failure),
            verdict_word(verdict),
        )
    if ended.cancelled is not None:
        return Conclusion(
            lambda session, now: diff_endings.cancelled(session, diff_id, fence, now),
            ended.cancelled,
        )
    if ended.stopped:
        return Conclusion(
            lambda session, now: diff_endings.release(session, diff_id, fence, now),
            "stopped, and given back to the queue",
        )
    if ended.elsewhere is not None:
        elsewhere = ended.elsewhere
        return Conclusion(
            lambda session, now: diff_endings.pass_on(session, diff_id, fence, elsewhere, now),
            f"left to other workers: {elsewhere}",
        )
    if ended.refused is not None:
        refused = ended.refused
        return Conclusion(
            lambda session, now: diff_endings.fail(session, diff_id, fence, refused, now),
            f"could not be compared: {refused}",
        )
    crash = ended.crashed or "ended without an outcome"
    return Conclusion(
        lambda session, now: diff_endings.retry_later(session, diff_id, fence, crash, now),
        f"could not be compared this time: {crash}",
    )
