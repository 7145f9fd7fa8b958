"""A line with alerts whose messages go to a fake Slack, and time that the test moves on."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from alerts.evidence import Evidence
from alerts.verdict import Verdict, to_json
from deploy.fake_slack.server import FakeSlack, fake_slack
from deploy.fake_slack.workspace import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, Workspace
from monitor.database.schema import AlertMessage, AlertRow, Line, Version
from monitor.jobs import diff_claims, diff_endings, diff_queue
from monitor.paging.pager import Pager
from monitor.settings.alerts import AlertSettings
from tests.alerts import samples
from tests.monitor.conftest import AddVersion, Sessions

ALERTS, CRITICAL = "C0ALERTS", "C0CRITICAL"
START = 1_790_000_000.0


class Clock:
    """Seconds since the epoch, as the test says."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class SampleResults:
    """Evidence of the sample verdicts, a report that nobody serves, and a tiny picture."""

    def evidence(self, verdict: Verdict) -> Evidence:
        return samples.evidence()

    def report_url(self, verdict: Verdict) -> str | None:
        return "https://reports.example/v2"

    def picture(self, verdict: Verdict, evidence: Evidence) -> bytes:
        return b"\x89PNG sample"


class Desk:
    """Everything around the alerts of one line."""

    def __init__(
        self,
        sessions: Sessions,
        line: Line,
        add_version: AddVersion,
        slack: FakeSlack,
        clock: Clock,
    ) -> None:
        self.sessions, self.line, self.add_version = sessions, line, add_version
        self.slack, self.workspace, self.clock = slack, slack.workspace, clock
        self.reports: list[str] = []
        self.suites: list[str] = []
        """Entries of recipe.suites."""

    def pager(self, **changes: Any) -> Pager:
        """A new pager process, with these settings changed."""
        settings = alert_settings(self.slack, **changes)
        results, report, clock = SampleResults(), self.reports.append, self.clock
        return Pager(self.sessions, settings, results, report, self.suites, clock, clock)

    def check(self, base: Version, name: str, verdict: Verdict | None, recipe: str = "r1") -> None:
        """A version `name`, registered if it is new, compared with `base` and this result."""
        with self.sessions.begin() as session:
            found = session.scalar(select(Version).filter_by(name=name))
        candidate = found or self.add_version(name)
        with self.sessions.begin() as session:
            base, candidate = session.merge(base), session.merge(candidate)
            line = session.merge(self.line)
            diff = diff_queue.queue_diff(session, line, base, candidate, recipe, self.clock())
            claimed = diff_claims.claim_next(session, self.clock(), "host:1:0.00", 60.0, diff.id)
            assert claimed is not None
            if verdict is None:
                diff_endings.fail(session, diff.id, claimed.fence, "no space left", self.clock())
            else:
                text = to_json(_about(verdict, base, candidate))
                diff_endings.finish(session, diff.id, claimed.fence, text, self.clock())

    def alert(self) -> AlertRow:
        """The only alert."""
        with self.sessions() as session:
            return session.scalars(select(AlertRow)).one()

    def send_all(self, pager: Pager) -> None:
        """Let time pass until nothing is left to be sent, or some minutes are over."""
        pager.step()
        for _ in range(20):
            with self.sessions() as session:
                waiting = select(AlertMessage).where(AlertMessage.sent < AlertMessage.wanted)
                if session.scalars(waiting).first() is None:
                    return
            self.clock.now += 10.0
            pager.step()

    def posted(self, channel: str = ALERTS) -> list[dict[str, Any]]:
        """What stands in the channel itself."""
        return self.workspace.in_channel(channel)

    def thread(self, channel: str = ALERTS) -> list[dict[str, Any]]:
        """The replies under the only message that stands in the channel."""
        first = self.posted(channel)[0]
        return self.workspace.thread(channel, first["ts"])

    def errors(self) -> list[str]:
        """What the channels have said of messages that are not there yet."""
        with self.sessions() as session:
            return [m.error for m in session.scalars(select(AlertMessage)) if m.error is not None]


@pytest.fixture
def desk(sessions: Sessions, line: Line, add_version: AddVersion) -> Iterator[Desk]:
    clock = Clock()
    with fake_slack(Workspace(clock)) as slack:
        yield Desk(sessions, line, add_version, slack, clock)


def alert_settings(fake: FakeSlack, **changes: Any) -> AlertSettings:
    """One route for everything; Ada and Ben review."""
    over = changes.pop("slack", {})
    secrets = {
        "bot_token": SecretStr(BOT_TOKEN),
        "app_token": SecretStr(APP_TOKEN),
        "signing_secret": SecretStr(SIGNING_SECRET),
        "api_url": fake.api_url,
    }
    plain = {"routes": [{"channel": ALERTS}], "reviewers": ["S0SAFETY"]}
    return AlertSettings.model_validate({**plain, **changes, "slack": {**secrets, **over}})


def _about(verdict: Verdict, base: Version, candidate: Version) -> Verdict:
    return verdict.model_copy(
        update={
            "line": "assistant",
            "base": verdict.base.model_copy(update={"digest": base.content_digest}),
            "candidate": verdict.candidate.model_copy(update={"digest": candidate.content_digest}),
        }
    )
