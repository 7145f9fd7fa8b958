"""A database with something of everything that the exporter shows."""

import hashlib
import time

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from alerts.alert_events import Acknowledge
from alerts.question import PromptAsked
from alerts.routing import Route
from alerts.verdict import to_json
from monitor.alerting.alerts import apply
from monitor.alerting.outbox import plan
from monitor.database.schema import AlertRow, HostClock, Line, StoredCalibration, Trust, Version
from monitor.jobs import diff_claims, diff_endings, diff_queue
from monitor.jobs.asking import put
from monitor.jobs.progress import Step
from monitor.jobs.questions import answer_question, claim_question
from monitor.jobs.readings import Readings
from monitor.jobs.roster import sign_in
from monitor.lineage.trust import move
from tests.alerts import samples
from tests.alerts.steered import steered

DAY = 86_400.0


def new_version(
    sessions: sessionmaker[Session],
    line: Line,
    name: str,
    *,
    trusted: bool = False,
    weights: str | None = None,
    published_at: float = 0.0,
) -> Version:
    """Register a version of `line`; its digest follows from its name."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    with sessions.begin() as session:
        version = Version(
            line_id=line.id,
            name=name,
            locator=f"/models/{name}",
            content_digest=digest,
            weights_digest=weights or digest,
            tokenizer_digest="tokenizer",
            shape="LlamaForCausalLM 2x8",
            published_at=published_at,
            registered_at=0.0,
            state=Trust.NEW,
            state_at=0.0,
        )
        session.add(version)
        if trusted:
            move(session, version, Trust.TRUSTED, actor="ann", reason="released", now=1.0)
    return version


def fill(sessions: sessionmaker[Session], now: float) -> int:
    """The line assistant with an anchor v0 and a trusted v1: v2 was flagged against v1 and passed
    against v0, v3 waits, v8 is compared. Returns the id of the waiting diff."""
    with sessions.begin() as session:
        line = Line(name="assistant", created_at=0.0, looked_at=now - 5.0)
        session.add(line)
    anchor = new_version(sessions, line, "v0", trusted=True)
    base = new_version(sessions, line, "v1", trusted=True, published_at=1.0)
    candidate, waiting, running = (new_version(sessions, line, name) for name in ("v2", "v3", "v8"))
    for base_version, verdict in ((base, samples.flagged()), (anchor, samples.passed())):
        with sessions.begin() as session:
            versions = (session.merge(version) for version in (base_version, candidate))
            diff_id = diff_queue.queue_diff(session, line, *versions, "r", now - 990).id
        finish(sessions, diff_id, to_json(verdict), now - 500)
    with sessions.begin() as session:
        versions = (session.merge(version) for version in (base, running))
        diff_id = diff_queue.queue_diff(session, line, *versions, "r", now - 900).id
    begin(sessions, diff_id, now)
    with sessions.begin() as session:
        versions = (session.merge(version) for version in (base, waiting))
        diff = diff_queue.queue_diff(session, line, *versions, "r", now - 900)
        sign_in(session, "host-0", ["gpu", "cpu"], "0", 0.0, now=now - 10)
        session.add(HostClock(host="host", ahead=0.25, measured_at=time.time()))
        sign_in(session, "host-1", ["gpu"], "1", 0.0, now=now - 900)
        session.add(
            StoredCalibration(
                line_id=line.id,
                base_digest=base.content_digest,
                recipe_digest="r",
                created_at=now - DAY,
                calibration="{}",
            )
        )
        plan(session, lambda _: [Route(channel="C0ALERTS")], ["C0ALERTS"], now - 490)
    ask(sessions, now)
    return diff.id


def ask(sessions: sessionmaker[Session], now: float) -> None:
    """A question about the only alert, which is answered within a minute."""
    with sessions.begin() as session:
        row = session.scalars(select(AlertRow)).one()
        asked = PromptAsked(prompt="Is it good?", feature="candidate-10")
        put(session, row, asked, "slack:U0ADA", now - 60, ())
        claimed = claim_question(session, now - 50, "host:1:0", 60.0)
        assert claimed is not None
        answer_question(session, claimed.id, claimed.fence, steered("yes"), now)


def begin(sessions: sessionmaker[Session], diff_id: int, now: float) -> None:
    """Claim the diff and train for 100 seconds, on a GPU."""
    step = Step("steps", 350, 1000, now - 100, began_with=50)
    readings = Readings("host-0", 3 << 30, 20 << 30, 80 << 30, now - 100, now - 40)
    with sessions.begin() as session:
        claimed = diff_claims.claim_due(session, diff_id, now - 100, "host:1:0", 60.0)
        assert claimed is not None
        diff_claims.heartbeat(session, diff_id, claimed.fence, now, 60.0, "train", step, readings)


def finish(sessions: sessionmaker[Session], diff_id: int, verdict: str, now: float) -> None:
    """Claim the diff and end it with `verdict`."""
    with sessions.begin() as session:
        claimed = diff_claims.claim_due(session, diff_id, now - 1.0, "host:1:0", 60.0)
        assert claimed is not None
        diff_endings.finish(session, diff_id, claimed.fence, verdict, now)


def answer(sessions: sessionmaker[Session], now: float) -> None:
    """Acknowledge the only alert, and quarantine its version a minute later."""
    with sessions.begin() as session:
        row = session.scalars(select(AlertRow)).one()
        apply(session, row, Acknowledge("slack:U0ADA", row.revision), now)
        digest = row.candidate_digest
        version = session.scalars(select(Version).filter_by(content_digest=digest)).one()
        move(session, version, Trust.QUARANTINED, actor="ann", reason="flatters", now=now + 60)
