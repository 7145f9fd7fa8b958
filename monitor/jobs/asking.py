"""What may be asked about an alert beyond its verdict, and asking it."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.alert import Finding
from alerts.alert_steps import Refusal
from alerts.question import ASKED, Asked, PromptAsked, SeedsAsked, subject_in_words
from alerts.records.feature import Feature
from monitor.alerting.view import view_of
from monitor.database.schema import AlertRow, Diff, Question
from monitor.errors import AlertingError
from monitor.jobs.asked_suites import bundled_behaviours, own_suites
from monitor.jobs.questions import active_questions, ask

_SHORTEST_PREFIX = 7


class Offer(NamedTuple):
    """What one alert can be asked."""

    diff: Diff
    features: list[Feature]
    """That only the candidate has; a prompt can be steered with each."""
    suites: list[str]
    """Behaviours of the recipe's own suites, which may have been rewritten since, and of bundled
    ones that the check did not measure."""
    seeds: bool
    """The check has trained a crosscoder, which can be trained again."""
    waiting: dict[int, str]
    """What is asked already, by the number of its question; each can be cancelled."""


def offer_of(session: Session, row: AlertRow, suites: Sequence[str]) -> Offer | Refusal:
    """What can be asked about an alert now; why nothing, where it is so. `suites` are the entries
    of recipe.suites."""
    view = view_of(session, row)
    if not view.alert.unresolved:
        return Refusal(f"already {view.alert.state}", view.alert.changed_by, view.alert.changed_at)
    if row.diff_id is None or view.alert.finding == Finding.UNCHECKED:
        return Refusal("no comparison of it has ended yet, so there is nothing to ask about")
    own = list(own_suites(suites))
    known = {b.name for b in view.verdict.behaviours if b.shift is not None} | set(own)
    flagged = view.measured and view.verdict.verdict == "flagged"
    offer = Offer(
        session.get_one(Diff, row.diff_id),
        [feature for feature in view.verdict.features if feature.side == "candidate"],
        own + [name for name in bundled_behaviours() if name not in known],
        flagged and view.verdict.recipe.tokens is not None,
        {
            question.id: subject_in_words(ASKED.validate_json(question.asked))
            for question in active_questions(session, row)
        },
    )
    if not (offer.features or offer.suites or offer.seeds or offer.waiting):
        return Refusal("the check has measured every suite and found no feature to ask about")
    return offer


def put(
    session: Session,
    row: AlertRow,
    asked: Asked,
    actor: str,
    now: float,
    suites: Sequence[str],
) -> Question | Refusal:
    """Ask it for `actor`, who has been found to be entitled to; why not, where it can't be."""
    offer = offer_of(session, row, suites)
    if isinstance(offer, Refusal):
        return offer
    refused = _not_offered(offer, asked)
    return refused or ask(session, row, offer.diff, asked, actor, now)


def _not_offered(offer: Offer, asked: Asked) -> Refusal | None:
    if isinstance(asked, SeedsAsked):
        return (
            None
            if offer.seeds
            else Refusal("the check has flagged nothing, or trained no crosscoder")
        )
    if isinstance(asked, PromptAsked):
        named, known = asked.feature, [feature.id for feature in offer.features]
    else:
        named, known = asked.suite, offer.suites
    if named in known:
        return None
    return Refusal(f"{named!r} can't be asked about; there are {', '.join(known) or 'none'}")


def find_alert(session: Session, wanted: str) -> AlertRow:
    """The alert whose fingerprint begins with `wanted`. Raises AlertingError."""
    if len(wanted) < _SHORTEST_PREFIX:
        raise AlertingError(
            f"{wanted}: is too short for an alert; give {_SHORTEST_PREFIX} characters or more, "
            "as `latentwatch alerts list --all` shows them"
        )
    found = session.scalars(
        select(AlertRow).where(AlertRow.fingerprint.startswith(wanted, autoescape=True))
    ).all()
    if len(found) != 1:
        raise AlertingError(
            f"{wanted}: is the beginning of {len(found)} alerts, and must be that of one; "
            "`latentwatch alerts list --all` shows them"
        )
    return found[0]
