"""The newest verdicts of lines, of which a scrape reads only those that it has not told before."""

import pytest
from sqlalchemy import select

from alerts.verdict import to_json
from monitor.database.schema import Diff
from monitor.metrics import verdicts
from monitor.metrics.verdicts import Newest
from monitor.settings import Settings
from tests.alerts import samples
from tests.monitor.conftest import Sessions

SHIFT = ("behaviour_shift_nats", ("assistant", "sycophancy", "trusted"))


def shift(newest: Newest, sessions: Sessions, settings: Settings) -> float | None:
    with sessions() as session:
        found = {(one.name, one.labels): one.value for one in newest.read(session, settings)}
    return found.get(SHIFT)


def end_again(sessions: Sessions, verdict: str) -> None:
    """The diff of v2 with the trusted version ends once more, with `verdict`."""
    with sessions.begin() as session:
        diff = session.scalars(select(Diff).where(Diff.verdict.is_not(None))).first()
        assert diff is not None and diff.finished_at is not None
        diff.verdict, diff.finished_at = verdict, diff.finished_at + 1.0


def test_what_ended_again_is_read_again_and_nothing_else(
    filled: Settings, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, read, really = Newest(), list[int](), verdicts._read

    def counted(session: object, told: verdicts.Told) -> object:
        read.append(told.diff_id)
        return really(session, told)  # type: ignore[arg-type]

    monkeypatch.setattr(verdicts, "_read", counted)
    assert shift(newest, sessions, filled) == 3.45
    assert shift(newest, sessions, filled) == 3.45 and len(read) == 2  # two bases
    end_again(sessions, to_json(samples.passed()))
    assert shift(newest, sessions, filled) == 0.03 and len(read) == 3


def test_a_verdict_that_can_not_be_read_is_not_told_as_the_one_before(
    filled: Settings, sessions: Sessions
) -> None:
    newest = Newest()
    assert shift(newest, sessions, filled) == 3.45
    end_again(sessions, '{"schema": "latentwatch.verdict/9"}')
    assert shift(newest, sessions, filled) is None
