"""What may be asked about an alert beyond its verdict, and asking it."""

from functools import cache
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.alert import Refusal
from alerts.question import Asked, PromptAsked, SeedsAsked
from alerts.suite import bundled_suites
from alerts.verdict import Feature
from monitor.alert_view import view_of
from monitor.errors import AlertingError
from monitor.questions import ask
from monitor.schema import AlertRow, Diff, Question

_SHORTEST_PREFIX = 7


class Offer(NamedTuple):
    """What one alert can be asked."""

    diff: Diff
    features: list[Feature]
    """That only the candidate has; a prompt can be steered with each."""
    suites: list[str]
    """Behaviours of bundled suites that the check did not measure."""
    seeds: bool
    """The check has trained a crosscoder, which can be trained again."""


def offer_of(session: Session, row: AlertRow) -> Offer | Refusal:
    """What can be asked about an alert now; why nothing, where it is so."""
    view = view_of(session, row)
    if not view.alert.unresolved:
        return Refusal(f"already {view.alert.state}", view.alert.changed_by, view.alert.changed_at)
    if not view.measured or view.verdict.verdict != "flagged" or row.diff_id is None:
        return Refusal("nothing was flagged, so there are no features to ask about")
    known = {behaviour.name for behaviour in view.verdict.behaviours}
    return Offer(
        session.get_one(Diff, row.diff_id),
        [feature for feature in view.verdict.features if feature.side == "candidate"],
        [name for name in _bundled_behaviours() if name not in known],
        view.verdict.recipe.tokens is not None,
    )


@cache  # Slack waits three seconds for a dialog, and the files never change
def _bundled_behaviours() -> tuple[str, ...]:
    return tuple(name for name, suite in bundled_suites().items() if suite.role == "behaviour")


def put(
    session: Session, row: AlertRow, asked: Asked, actor: str, now: float
) -> Question | Refusal:
    """Ask it for `actor`, who has been found to be entitled to; why not, where it can't be."""
    offer = offer_of(session, row)
    if isinstance(offer, Refusal):
        return offer
    refused = _not_offered(offer, asked)
    return refused or ask(session, row, offer.diff, asked, actor, now)


def _not_offered(offer: Offer, asked: Asked) -> Refusal | None:
    if isinstance(asked, SeedsAsked):
        return None if offer.seeds else Refusal("the check has trained no crosscoder")
    if isinstance(asked, PromptAsked):
        named, known = asked.feature, [feature.id for feature in offer.features]
    else:
        named, known = asked.suite, offer.suites
    if named in known:
        return None
    return Refusal(f"{named!r} can't be asked about; there are {', '.join(known) or 'none'}")


def find_alert(session: Session, wanted: str) -> AlertRow:
    """The alert whose fingerprint begins with `wanted`. Raises AlertingError."""
    found = (
        session.scalars(
            select(AlertRow).where(AlertRow.fingerprint.startswith(wanted, autoescape=True))
        ).all()
        if len(wanted) >= _SHORTEST_PREFIX
        else []
    )
    if len(found) != 1:
        raise AlertingError(
            f"{wanted}: is the beginning of {len(found)} alerts, and must be that of one, with "
            f"{_SHORTEST_PREFIX} characters or more; `latentwatch alerts list --all` shows them"
        )
    return found[0]
