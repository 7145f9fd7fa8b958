"""The demo's last step: the alert arrives in the fake Slack, can be answered, and is kept."""

import json
import time
import urllib.request
from pathlib import Path

import pytest
from sqlalchemy import select

from alerts.verdict import to_json
from deploy.demo.review import CHANNEL, TOKEN, review
from deploy.fake_slack import server
from deploy.fake_slack.interactions import Interactions
from deploy.fake_slack.workspace import Workspace
from monitor.database.opening import open_database
from monitor.database.schema import Line, Trust, Version
from monitor.jobs import diff_claims, diff_endings, diff_queue
from monitor.lineage.trust import move
from tests.alerts import samples
from tests.waiting import until
from workers.verdicts.outcome import Outcome, report_directory, write_outcome

SETTINGS = 'data_dir = "data"\n\n[[lines]]\nname = "support-chat"\ndirectory = "line"\n'


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build directory as the watch leaves it: v2 is flagged, its report is written."""
    (tmp_path / "latentwatch.toml").write_text(SETTINGS)
    verdict, data = samples.flagged(), tmp_path / "data"
    sessions = open_database(f"sqlite:///{data}/latentwatch.db")
    now = time.time()
    with sessions.begin() as session:
        line = Line(name="support-chat", created_at=now)
        session.add(line)
        session.flush()
        base, candidate = (
            Version(
                line_id=line.id,
                name=name,
                locator=checkpoint.locator,
                content_digest=checkpoint.digest,
                weights_digest=checkpoint.digest,
                tokenizer_digest="tokenizer",
                shape="LlamaForCausalLM 30x576",
                published_at=now,
                registered_at=now,
                state=Trust.NEW,
                state_at=now,
            )
            for name, checkpoint in (("v1", verdict.base), ("v2", verdict.candidate))
        )
        session.add_all([base, candidate])
        session.flush()
        move(session, base, Trust.TRUSTED, actor="settings", reason="first", now=now)
        diff = diff_queue.queue_diff(session, line, base, candidate, verdict.recipe.digest, now)
        claimed = diff_claims.claim_next(session, now, "host:1:0.00", 60.0, diff.id)
        assert claimed is not None
        diff_endings.finish(session, diff.id, claimed.fence, to_json(verdict), now)
    sessions.kw["bind"].dispose()
    write_outcome(report_directory(data, verdict), Outcome(verdict, samples.evidence()))
    return tmp_path


def test_the_alert_arrives_is_answered_and_is_still_there_next_time(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    told: list[str] = []
    taken: list[Interactions] = []
    made = server.Interactions

    def keep(workspace: Workspace) -> Interactions:
        taken.append(made(workspace))
        taken[-1].answer_seconds = 60.0
        return taken[-1]

    monkeypatch.setattr(server, "Interactions", keep)

    def quarantine_as_ada() -> None:
        [interactions] = taken
        workspace = interactions._workspace
        until(lambda: interactions.connected == 1)
        [message] = workspace.in_channel(CHANNEL)
        button = next(e for e in message["blocks"][-1]["elements"] if e["action_id"] == "open")
        with urllib.request.urlopen(button["url"]) as response:
            assert b"support-chat" in response.read()
        interactions.click("U0ADA", CHANNEL, message["ts"], "quarantine")
        until(lambda: "U0ADA" in workspace.views)
        assert interactions.submit("U0ADA", {"why": {"reason": "flatters"}}) == {}
        until(lambda: "Quarantined" in json.dumps(message["blocks"]))

    review(build, told.append, quarantine_as_ada)
    assert told[0].startswith("The alert is at http://127.0.0.1:")
    sessions = open_database(f"sqlite:///{build}/data/latentwatch.db")
    with sessions() as session:
        version = session.scalars(select(Version).filter_by(name="v2")).one()
    assert (version.state, version.reason) == ("quarantined", "flatters")

    slack = review(build, told.append, None)
    assert slack is not None
    [message] = slack.workspace.in_channel(CHANNEL)
    assert "<@U0ADA>" in json.dumps(message["blocks"])
