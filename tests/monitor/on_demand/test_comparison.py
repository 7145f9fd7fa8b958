"""What a check says whose candidate was compared with two bases."""

import pytest
from sqlalchemy.orm import Session

from alerts.verdict import Checkpoint, Verdict, to_json
from monitor.database.schema import DiffState, Line
from monitor.errors import CancelledError
from monitor.jobs.diff_queue import queue_diff
from monitor.on_demand.comparison import Comparison, result_of
from tests.alerts import samples
from tests.monitor.conftest import AddVersion, Sessions

CRITICAL = samples.flagged()
WARNING = CRITICAL.model_copy(update={"severity": "warning"})
UNDECIDED, PASSED = samples.undecided(), samples.passed()


@pytest.fixture
def said(sessions: Sessions, line: Line, add_version: AddVersion):  # type: ignore[no-untyped-def]
    def of(first: Verdict | None, second: Verdict | None) -> Verdict:
        """None was cancelled."""
        base, anchor, candidate = (add_version(name) for name in ("v2", "v1", "v3"))
        with sessions.begin() as session:
            parts = [
                _ended(session, line, one, candidate, verdict)
                for one, verdict in ((base, first), (anchor, second))
            ]
        return result_of(sessions, parts[0]._replace(anchored=parts[1]))

    return of


def _ended(session: Session, line, base, candidate, verdict: Verdict | None) -> Comparison:  # type: ignore[no-untyped-def]
    diff = queue_diff(session, line, base, candidate, "r" * 64, 1.0)
    diff.state = DiffState.CANCELLED if verdict is None else DiffState.DONE
    diff.verdict = None if verdict is None else to_json(verdict)
    sides = (Checkpoint(digest=v.content_digest, locator=v.name) for v in (base, candidate))
    return Comparison(line.name, *sides, "r" * 64, diff.id)


@pytest.mark.parametrize(
    ("first", "second", "worse"),
    [
        (PASSED, UNDECIDED, UNDECIDED),
        (UNDECIDED, WARNING, UNDECIDED),  # a warning may be borne
        (WARNING, UNDECIDED, UNDECIDED),
        (UNDECIDED, CRITICAL, CRITICAL),
        (PASSED, WARNING, WARNING),
        (None, WARNING, WARNING),
        (CRITICAL, None, CRITICAL),
    ],
)
def test_the_worse_verdict_counts(said, first: Verdict, second: Verdict, worse: Verdict) -> None:  # type: ignore[no-untyped-def]
    found = said(first, second)
    assert (found.verdict, found.severity) == (worse.verdict, worse.severity)


def test_what_was_cancelled_is_no_pass(said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CancelledError):
        said(PASSED, None)
