"""What a message that is due is to show now: every try makes it from what is known by then."""

from typing import NamedTuple, Protocol

from sqlalchemy.orm import Session, sessionmaker

from alerts.alert_title import alert_title
from alerts.channel import Posting
from alerts.evidence import Evidence
from alerts.figures_in_words import shifts_in_words
from alerts.pages.missing_evidence import NOT_HERE, is_missing
from alerts.routing import by_channel, mentions_of
from alerts.slack.message import build_message
from alerts.slack.text import code, literal
from alerts.verdict import Verdict
from monitor.alerting.messages import Kind
from monitor.alerting.outbox import Due
from monitor.alerting.view import AlertView, router_of, view_of
from monitor.database.schema import AlertRow
from monitor.paging.alert_token import token_of
from monitor.paging.outages import outage_of
from monitor.paging.question_messages import question_message
from monitor.settings.alerts import AlertSettings


class Results(Protocol):
    """Where the results of a check lie."""

    def evidence(self, verdict: Verdict) -> Evidence:
        """What was measured beside the verdict; empty where it can't be read."""
        ...

    def report_url(self, verdict: Verdict) -> str | None:
        """Where a browser opens the report; None where it is not served."""
        ...

    def picture(self, verdict: Verdict, evidence: Evidence) -> bytes:
        """The figures as PNG."""
        ...


def report_of(view: AlertView, results: Results) -> str | None:
    """Where the report of an alert is served; None where there is none."""
    return results.report_url(view.verdict) if view.measured else None


class Shown(NamedTuple):
    """A message as it is to be shown."""

    posting: Posting
    revision: int
    """The one of its alert, or of its row, that it shows."""


class Postings:
    """Makes messages from the database and the results of checks."""

    def __init__(
        self, sessions: sessionmaker[Session], settings: AlertSettings, results: Results
    ) -> None:
        self._sessions, self._settings, self._results = sessions, settings, results

    def of(self, one: Due) -> Shown | None:
        """The message as it is to be shown; None where there is nothing to show."""
        message = one.message
        base = Posting(message.channel, message.key, message.text, (), one.thread)
        base = base._replace(broadcast=message.broadcast)
        if message.kind == Kind.REPLY:
            title = self._title(one) if message.broadcast else ""
            text = f"{message.text}\n{title}".rstrip("\n")
            return Shown(base._replace(text=text), message.wanted)
        if message.kind in (Kind.QUESTION, Kind.ANSWER):
            with self._sessions() as session:
                built = question_message(session, message, self._settings.examples)
            posting = base._replace(text=built.text, blocks=built.blocks)
            return Shown(posting, message.wanted)
        if message.kind == Kind.OUTAGE:
            said = literal(outage_of(message.text).sentence, 600)
            return Shown(base._replace(text=f"⚠️ {said}"), message.wanted)
        with self._sessions() as session:
            row = session.get_one(AlertRow, message.alert_id)
            view = view_of(session, row)
            routes = by_channel(router_of(session, self._settings.routes)(row))
        evidence = self._results.evidence(view.verdict) if view.measured else Evidence()
        lacks = view.measured and is_missing(evidence)
        if lacks:
            evidence = evidence.model_copy(update={"caveats": [NOT_HERE, *evidence.caveats]})
        if message.kind == Kind.PICTURE:
            if not view.measured:
                return None
            picture = self._results.picture(view.verdict, evidence)
            words = shifts_in_words(view.verdict)
            posting = base._replace(text="The figures", picture=picture, picture_in_words=words)
            return Shown(posting, message.wanted)
        built = build_message(
            view.shown,
            evidence,
            alert=view.alert,
            alert_id=token_of(row) if self._settings.slack.takes_answers else None,
            report_url=None if lacks else report_of(view, self._results),
            examples=self._settings.examples,
            mentions=mentions_of(routes.get(message.channel, [])),
            siblings=view.siblings,
            names=view.names,
        )
        posting = base._replace(text=built.text, blocks=built.blocks)
        return Shown(posting, view.alert.revision)

    def _title(self, one: Due) -> str:
        """Of the alert in whose thread it stands, for who reads the channel or a phone alone."""
        if one.alert is None:
            return ""
        with self._sessions() as session:
            view = view_of(session, session.get_one(AlertRow, one.alert.id))
        return code(alert_title(view.shown, view.alert, view.names), 300)
