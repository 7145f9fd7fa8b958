"""Alerts about versions that nobody has checked: against what, from when on, and what ends them."""

from sqlalchemy import select, text

from alerts.verdict import Verdict, to_json
from monitor.alerting.alerts import catch_up
from monitor.database.schema import AlertRow, Line, Trust, Version
from monitor.jobs import diff_claims, diff_endings, diff_queue
from monitor.lineage.trust import LATENTWATCH, move
from monitor.watching.backlog import skip_oldest
from tests.alerts import samples
from tests.monitor.paging.alerting import START, Desk

HOUR = 3600.0


def register(desk: Desk, *names: str) -> None:
    """Versions that are first seen now."""
    for name in names:
        desk.add_version(name)
        with desk.sessions.begin() as session:
            at = f"registered_at = {desk.clock()}, state_at = {desk.clock()}"
            session.execute(text(f"UPDATE versions SET {at} WHERE name = '{name}'"))


def queue(desk: Desk, base: Version, name: str, recipe: str = "r1") -> int:
    with desk.sessions.begin() as session:
        candidate = session.scalars(select(Version).filter_by(name=name)).one()
        line, base = session.merge(desk.line), session.merge(base)
        return diff_queue.queue_diff(session, line, base, candidate, recipe, desk.clock()).id


def end(desk: Desk, diff_id: int, verdict: Verdict) -> None:
    with desk.sessions.begin() as session:
        claimed = diff_claims.claim_next(session, desk.clock(), "host:1:0", 60.0, diff_id)
        assert claimed is not None
        diff_endings.finish(session, diff_id, claimed.fence, to_json(verdict), desk.clock())


def ticks(desk: Desk, hours: int) -> list[tuple[str, str]]:
    """What alerts there are after so many hours, with one look in each."""
    pager = desk.pager(unchecked_seconds=6 * HOUR)
    for _ in range(hours):
        desk.clock.now += HOUR
        pager.plan()
    return alerts(desk)


def alerts(desk: Desk) -> list[tuple[str, str]]:
    with desk.sessions() as session:
        rows = session.scalars(select(AlertRow).order_by(AlertRow.id)).all()
        return [(row.finding, row.state) for row in rows]


def revisions(desk: Desk) -> int:
    return desk.alert().revision


def test_it_is_raised_against_the_version_that_comparisons_take(desk: Desk) -> None:
    desk.add_version("v1", trusted=True, published_at=9.0)
    endorsed = desk.add_version("v0", trusted=True, published_at=1.0)
    with desk.sessions.begin() as session:
        session.merge(desk.line).endorsed_digest = endorsed.content_digest
    register(desk, "v2")
    assert ticks(desk, 6) == [("unchecked", "open")]
    assert desk.alert().base_digest == endorsed.content_digest


def test_it_ends_when_all_comparisons_have_passed_and_not_before(desk: Desk) -> None:
    base, anchor = desk.add_version("v1", trusted=True), desk.add_version("v0", trusted=True)
    register(desk, "v2")
    diffs = {one.content_digest: queue(desk, one, "v2") for one in (base, anchor)}
    assert ticks(desk, 6) == [("unchecked", "open")]
    first = diffs.pop(desk.alert().base_digest)
    [last] = diffs.values()
    for diff_id in (first, last):
        before = revisions(desk)
        assert alerts(desk) == [("unchecked", "open")]
        end(desk, diff_id, samples.passed())
        ticks(desk, 1)
        assert revisions(desk) == before + (diff_id == last)
    assert alerts(desk) == [("unchecked", "cleared")]


def test_a_finding_against_whichever_version_takes_its_place(desk: Desk) -> None:
    bases = [desk.add_version("v1", trusted=True), desk.add_version("v0", trusted=True)]
    register(desk, "v2")
    ticks(desk, 6)
    raised_against = desk.alert().base_digest
    [other] = [base for base in bases if base.content_digest != raised_against]
    end(desk, queue(desk, other, "v2"), samples.flagged())
    assert alerts(desk) == [("unchecked", "superseded"), ("flagged", "open")]


def test_what_has_passed_and_is_checked_again_is_not_overdue_at_once(desk: Desk) -> None:
    base = desk.add_version("v1", trusted=True)
    register(desk, "v2")
    desk.clock.now += HOUR
    end(desk, queue(desk, base, "v2"), samples.passed())
    assert ticks(desk, 24) == []
    queue(desk, base, "v2", recipe="r2")
    assert ticks(desk, 5) == []
    assert ticks(desk, 1) == [("unchecked", "open")]


def test_a_version_that_waits_with_one_of_its_two_verdicts_is_overdue_since_it_was_seen(
    desk: Desk,
) -> None:
    base, anchor = desk.add_version("v1", trusted=True), desk.add_version("v0", trusted=True)
    register(desk, "v2")
    ticks(desk, 2)
    first, _ = queue(desk, base, "v2"), queue(desk, anchor, "v2")
    desk.clock.now += HOUR
    end(desk, first, samples.passed())
    assert ticks(desk, 2) == []
    assert ticks(desk, 1) == [("unchecked", "open")]
    assert desk.clock.now == START + 6 * HOUR


def test_a_version_that_is_skipped_raises_nothing_and_ends_what_missed_its_check(
    desk: Desk,
) -> None:
    base = desk.add_version("v1", trusted=True)
    register(desk, "v2", "v3")
    queue(desk, base, "v2")
    assert ticks(desk, 6) == [("unchecked", "open"), ("unchecked", "open")]
    queue(desk, base, "v3")
    with desk.sessions.begin() as session:
        skipped = skip_oldest(session, session.get_one(Line, desk.line.id), 0, desk.clock())
    assert len(skipped) == 2
    assert ticks(desk, 24) == [("unchecked", "superseded"), ("unchecked", "superseded")]


def test_a_version_that_was_overwritten_and_comes_back_waits_since_then(desk: Desk) -> None:
    register(desk, "v2")
    ticks(desk, 2)
    for state in (Trust.SUPERSEDED, Trust.NEW):
        with desk.sessions.begin() as session:
            version = session.scalars(select(Version).filter_by(name="v2")).one()
            of_watch = {"actor": LATENTWATCH, "reason": "overwritten", "now": desk.clock()}
            move(session, version, state, **of_watch)
        if state == Trust.SUPERSEDED:
            assert ticks(desk, 24) == []
    assert ticks(desk, 5) == []
    assert ticks(desk, 1) == [("unchecked", "open")]


def test_what_was_left_open_of_a_version_that_was_skipped_ends_at_the_start(desk: Desk) -> None:
    register(desk, "v2")
    ticks(desk, 6)
    with desk.sessions.begin() as session:  # as an older latentwatch did
        session.execute(text("UPDATE versions SET state = 'superseded' WHERE name = 'v2'"))
        catch_up(session, desk.clock())
    assert alerts(desk) == [("unchecked", "superseded")]


def test_a_flag_outlives_that_its_version_is_skipped(desk: Desk) -> None:
    base, anchor = desk.add_version("v1", trusted=True), desk.add_version("v0", trusted=True)
    register(desk, "v2")
    first, _ = queue(desk, base, "v2"), queue(desk, anchor, "v2")
    end(desk, first, samples.flagged())
    with desk.sessions.begin() as session:
        version = session.scalars(select(Version).filter_by(name="v2")).one()
        of_watch = {"actor": LATENTWATCH, "reason": "newer ones wait", "now": desk.clock()}
        move(session, version, Trust.SUPERSEDED, **of_watch)
    assert alerts(desk) == [("flagged", "open")]
