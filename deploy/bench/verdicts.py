"""Verdicts that raise alerts, written by the service's own code and timed by its own clock."""

import hashlib
import json
import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session, sessionmaker

from alerts.verdict import to_json
from monitor.database.schema import Line, Trust, Version
from monitor.jobs import diff_claims, diff_endings, diff_queue
from monitor.lineage.trust import move
from monitor.paging.sample_alert import sample

FLAGGED_EVERY = 5
"""One of so many checks is flagged, critical, and has a picture; the others end without a verdict,
which is a warning without one."""


LEASE_SECONDS = 86_400.0


class Check(NamedTuple):
    """A check that runs: its diff, and what it is to say."""

    diff: int
    fence: int
    verdict: str | None
    """JSON; None where it is to fail."""


def prepare(sessions: sessionmaker[Session], lines: Sequence[str], checks: int) -> list[Check]:
    """Lines with a trusted version each, and running checks over all of them in turn."""
    running = []
    with sessions.begin() as session:
        rows = [Line(name=name, created_at=0.0) for name in lines]
        session.add_all(rows)
        session.flush()
        bases = [_version(session, row, "base") for row in rows]
        for base in bases:
            move(session, base, Trust.TRUSTED, actor="bench", reason="the base", now=1.0)
        for number in range(checks):
            line, base = rows[number % len(rows)], bases[number % len(rows)]
            candidate = _version(session, line, f"v{number:04}")
            now = time.time()
            diff = diff_queue.queue_diff(session, line, base, candidate, "bench", now)
            claimed = diff_claims.claim_due(session, diff.id, now, "bench:1:0", LEASE_SECONDS)
            assert claimed is not None
            flagged = number % FLAGGED_EVERY == 0
            text = _flagged(line, base, candidate) if flagged else None
            running.append(Check(diff.id, claimed.fence, text))
    return running


def conclude(sessions: sessionmaker[Session], check: Check) -> None:
    """End the check now, flagged or without a verdict."""
    with sessions.begin() as session:
        if check.verdict is None:
            diff_endings.fail(session, check.diff, check.fence, "the disk was full", time.time())
        else:
            diff_endings.finish(session, check.diff, check.fence, check.verdict, time.time())


def _flagged(line: Line, base: Version, candidate: Version) -> str:
    verdict, _ = sample()
    changes = {
        "line": line.name,
        "base": verdict.base.model_copy(update={"digest": base.content_digest}),
        "candidate": verdict.candidate.model_copy(update={"digest": candidate.content_digest}),
    }
    return to_json(verdict.model_copy(update=changes))


def _version(session: Session, line: Line, name: str) -> Version:
    digest = hashlib.sha256(json.dumps([line.name, name]).encode()).hexdigest()
    version = Version(
        line_id=line.id,
        name=name,
        locator=f"/models/{line.name}/{name}",
        content_digest=digest,
        weights_digest=digest,
        tokenizer_digest="tokenizer",
        shape="LlamaForCausalLM 2x8",
        published_at=0.0,
        registered_at=time.time(),
        state=Trust.NEW,
        state_at=0.0,
    )
    session.add(version)
    session.flush()
    return version
