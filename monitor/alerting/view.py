"""What a reviewer gets to see of an alert: its verdict, or in its place why there is none."""

import json
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.alert import UNRESOLVED, Alert, Finding
from alerts.routing import Route, routes_of
from alerts.verdict import Checkpoint, RecipeSummary, Verdict
from alerts.verdict_in_words import Names
from monitor.alerting.alerts import alert_of
from monitor.alerting.outbox import Router
from monitor.database.schema import AlertRow, Diff, Line, Version


class AlertView(NamedTuple):
    """An alert and what it rests on."""

    alert: Alert
    verdict: Verdict
    """As it was measured: by it the results are found."""
    measured: bool
    """False where the verdict only stands for a missing one, so that there is no report."""
    siblings: list[str]
    """The other unresolved alerts about the same version, which a decision ends too."""
    names: Names

    @property
    def shown(self) -> Verdict:
        """The verdict, as severe as the alert and with what else an earlier check has flagged."""
        alert, verdict, why = self.alert, self.verdict, []
        if not self.measured or verdict.verdict != Finding.FLAGGED:
            return verdict
        if verdict.severity != alert.severity:
            alone = f"this one alone is {verdict.severity}"
            why.append(f"an earlier check was {alert.severity}; {alone}")
        if before := [name for name in alert.behaviours if name not in verdict.flagged]:
            why.append(f"an earlier check also flagged {', '.join(before)}")
        told = {"severity": alert.severity, "reasons": [*why, *verdict.reasons]}
        return verdict.model_copy(update=told)


_UNREADABLE = (
    "the verdict was written by another latentwatch and can't be read by this one: bring all hosts "
    "to one version to see what was measured"
)


def view_of(session: Session, row: AlertRow) -> AlertView:
    """The view of one alert."""
    line = session.get_one(Line, row.line_id)
    diff = None if row.diff_id is None else session.get_one(Diff, row.diff_id)
    alert = alert_of(row)
    reasons = [row.found]
    if diff is not None and diff.verdict is not None and alert.finding != Finding.UNCHECKED:
        verdict = _stored(diff.verdict)
        if verdict is not None and alert.finding == verdict.verdict:
            return AlertView(alert, verdict, True, _siblings(session, row), _names(session, row))
        if verdict is None:
            reasons.append(_UNREADABLE)
    told = _told(session, row, line, diff, reasons)
    return AlertView(alert, told, False, _siblings(session, row), _names(session, row))


def _names(session: Session, row: AlertRow) -> Names:
    digests = (row.candidate_digest, row.base_digest)
    known = select(Version).filter_by(line_id=row.line_id)
    known = known.where(Version.content_digest.in_(digests))
    found = {version.content_digest: version.name for version in session.scalars(known)}
    return Names(*map(found.get, digests))


def _siblings(session: Session, row: AlertRow) -> list[str]:
    others = session.scalars(
        select(AlertRow)
        .filter_by(line_id=row.line_id, candidate_digest=row.candidate_digest)
        .where(AlertRow.id != row.id, AlertRow.state.in_(UNRESOLVED))
        .order_by(AlertRow.id)
    ).all()
    return [
        f"{other.finding} ({other.severity}), {other.state}, against "
        f"{_checkpoint(session, other, other.base_digest).locator}: {other.found}"
        for other in others
    ]


def _stored(text: str) -> Verdict | None:
    """The verdict; None where another latentwatch wrote it in a form that this one can't read: what
    it comes to is in the alert all the same."""
    try:
        return Verdict.model_validate_json(text)
    except ValidationError:
        return None


def router_of(session: Session, routes: Sequence[Route]) -> Router:
    """Where alerts go by `routes`, for as long as `session` lasts."""

    @cache
    def name_of(line_id: int) -> str:
        return session.get_one(Line, line_id).name

    def router(row: AlertRow) -> list[Route]:
        line, behaviours = name_of(row.line_id), json.loads(row.behaviours)
        return routes_of(routes, line, behaviours, alert_of(row).severity)

    return router


def _told(
    session: Session, row: AlertRow, line: Line, diff: Diff | None, reasons: list[str]
) -> Verdict:
    """As much of a verdict as the alert itself holds."""
    recipe = "none" if diff is None else diff.recipe_digest
    flagged = row.finding == Finding.FLAGGED
    return Verdict(
        schema="latentwatch.verdict/1",
        line=line.name,
        base=_checkpoint(session, row, row.base_digest),
        candidate=_checkpoint(session, row, row.candidate_digest),
        recipe=RecipeSummary(digest=recipe, layer=None, tokens=None, seeds=[]),
        verdict="flagged" if flagged else "undecided",
        severity=alert_of(row).severity if flagged else None,
        reasons=reasons,
        behaviours=[],
        features=[],
        timings={},
        versions={},
    )


def _checkpoint(session: Session, row: AlertRow, digest: str) -> Checkpoint:
    locator = session.scalar(
        select(Version.locator).filter_by(line_id=row.line_id, content_digest=digest)
    )
    if locator is None:
        return Checkpoint(digest="none", locator="no version is trusted")
    return Checkpoint(digest=digest, locator=locator)
