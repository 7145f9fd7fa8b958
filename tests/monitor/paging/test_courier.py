"""A message that fails takes nothing else with it, and nobody waits for slow results."""

import json
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from alerts.evidence import Evidence
from alerts.verdict import Verdict
from monitor.database.schema import AlertMessage, AlertRow, Version
from monitor.paging import courier
from tests.alerts import samples
from tests.monitor.paging.alerting import START, Desk, SampleResults
from tests.monitor.paging.destinations import Receiver
from tests.monitor.paging.told import NIGHTS, direct, flagged, quarantine, webhook


def versions_told(hook: Receiver) -> list[str]:
    return [json.loads(one.body)["data"]["candidate"]["name"] for one in hook.requests]


def alertmanager(hook: Receiver) -> dict[str, Any]:
    given = {"kind": "alertmanager", "url": hook.url, "repeat_seconds": 60}
    return {"destinations": {"am": given}}


@pytest.mark.parametrize("status", [500, 408, 429, 400])
def test_an_alert_that_is_answered_with_a_failure_for_good_blocks_no_other(
    desk: Desk, hook: Receiver, status: int
) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    desk.check(base, "v3", None)
    desk.check(base, "v4", None)
    hook.always = {desk_fingerprint(desk, "v2").encode(): status}
    pager = desk.pager(**direct("hook"), **webhook(hook))
    for _ in range(30):
        pager.step()
        desk.clock.now += 1.0
    told = versions_told(hook)
    assert told[0] == "v2" and [name for name in told if name != "v2"] == ["v3", "v4"]
    assert 2 <= told.count("v2") <= 5
    hook.always = {}
    desk.send_all(pager)
    assert versions_told(hook)[-1] == "v2"


def test_several_alerts_that_are_answered_with_failures_for_good_block_no_other(
    desk: Desk, hook: Receiver
) -> None:
    base = desk.add_version("v1", trusted=True)
    for name in ("v2", "v3"):
        desk.check(base, name, samples.flagged())
        hook.always[desk_fingerprint(desk, name).encode()] = 500
    for name in ("v4", "v5", "v6"):
        desk.check(base, name, None)
    pager = desk.pager(**direct("hook"), **webhook(hook))
    for _ in range(60):
        pager.step()
        desk.clock.now += 1.0
    assert [name for name in versions_told(hook) if name > "v3"] == ["v4", "v5", "v6"]


def test_after_an_outage_the_worst_is_told_next(desk: Desk, hook: Receiver) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    hook.statuses = [500, 500]
    pager = desk.pager(**direct("hook"), **webhook(hook))
    pager.step()
    for name in ("v3", "v4", "v5"):
        desk.check(base, name, None)
    for _ in range(30):
        desk.clock.now += 1.0
        pager.step()
    assert versions_told(hook) == ["v2", "v3", "v4", "v2", "v3", "v5"]


def desk_fingerprint(desk: Desk, name: str) -> str:
    with desk.sessions() as session:
        found = select(AlertRow.fingerprint).join(
            Version, Version.content_digest == AlertRow.candidate_digest
        )
        return session.scalars(found.filter(Version.name == name)).one()


def test_an_alert_that_can_not_be_read_blocks_no_other(
    desk: Desk, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", samples.flagged())
    desk.check(base, "v3", None)
    really, damaged = courier.view_of, desk_fingerprint(desk, "v2")

    def view_of(session: Any, row: AlertRow) -> Any:
        if row.fingerprint == damaged:
            raise LookupError("torn")
        return really(session, row)

    monkeypatch.setattr(courier, "view_of", view_of)
    pager = desk.pager(**direct("hook"), **webhook(hook))
    pager.step()
    assert versions_told(hook) == ["v3"]
    assert desk.reports == ["hook: an alert could not be sent: LookupError: torn"]
    with desk.sessions() as session:
        [failed] = session.scalars(select(AlertMessage).filter_by(channel="hook", sent=0))
        assert failed.attempted_at is None and failed.not_before == START + 5.0


@pytest.mark.parametrize("named", [webhook, alertmanager])
def test_results_are_looked_for_while_no_transaction_is_open(
    desk: Desk, hook: Receiver, monkeypatch: pytest.MonkeyPatch, named: Any
) -> None:
    """They may lie in a store that takes minutes to answer, or never does."""
    pool, held = desk.sessions.kw["bind"].pool, []

    def evidence(self: SampleResults, verdict: Verdict) -> Evidence:
        held.append(pool.checkedout())
        raise ConnectionError("the store is away")

    flagged(desk)
    [name] = named(hook)["destinations"]
    pager = desk.pager(routes=[{"destinations": [name]}], slack={"bot_token": None}, **named(hook))
    monkeypatch.setattr(SampleResults, "evidence", evidence)
    pager.step()
    desk.clock.now += 60.0
    pager.step()  # an Alertmanager is told again
    assert set(held) == {0} and len(held) == len(hook.requests) >= 1
    assert b"https://reports.example" not in b"".join(one.body for one in hook.requests)
    assert desk.reports == []


def test_what_was_sent_once_without_an_answer_is_not_taken_back_after_a_refusal(
    desk: Desk, hook: Receiver
) -> None:
    hook.statuses = [500, 400]
    pager = desk.pager(**direct("hook"), **webhook(hook))
    flagged(desk)
    for _ in range(2):
        pager.step()
        desk.clock.now += 10.0
    quarantine(desk)
    desk.send_all(pager)
    assert json.loads(hook.requests[-1].body)["type"] == "alert.quarantined"


def test_a_warning_that_changes_in_quiet_hours_goes_on_firing_at_an_alertmanager(
    desk: Desk, hook: Receiver
) -> None:
    desk.clock.now = START - START % 86_400 + 21.5 * 3600.0
    pager = desk.pager(**direct("am", quiet=[NIGHTS]), **alertmanager(hook))
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", None)
    desk.send_all(pager)
    desk.clock.now += 3600.0
    mild = samples.flagged().model_copy(update={"severity": "warning"})
    desk.check(base, "v2", mild, recipe="r2")
    pager.step()
    told = len(hook.requests)
    for _ in range(5):
        desk.clock.now += 60.0
        pager.step()
    assert len(hook.requests) == told + 5
    ends = {one["endsAt"] for one in json.loads(hook.requests[-1].body)}
    assert max(ends) > json.loads(hook.requests[told - 1].body)[0]["endsAt"]
    hook.always = {b"": 400}
    desk.clock.now += 60.0
    pager.step()
    with desk.sessions() as session:
        [notice] = session.scalars(select(AlertMessage).filter_by(channel="am"))
        assert notice.sent < notice.wanted and notice.failing_since == desk.clock.now


def test_what_changes_while_it_is_told_waits_for_the_end_of_quiet_hours_all_the_same(
    desk: Desk, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.clock.now = START - START % 86_400 + 23.5 * 3600.0
    pager = desk.pager(**direct("hook", quiet=[NIGHTS]), **webhook(hook))
    flagged(desk)
    pager.step()
    quarantine(desk)
    morning = desk.clock.now + 7.5 * 3600.0

    def changes(self: SampleResults, verdict: Verdict) -> Evidence:
        with desk.sessions.begin() as session:
            [notice] = session.scalars(select(AlertMessage).filter_by(channel="hook"))
            notice.wanted, notice.not_before = notice.wanted + 1, morning
        return samples.evidence()

    monkeypatch.setattr(SampleResults, "evidence", changes)
    pager.step()
    with desk.sessions() as session:
        [notice] = session.scalars(select(AlertMessage).filter_by(channel="hook"))
        assert (notice.sent, notice.wanted, notice.not_before) == (2, 3, morning)


def test_what_is_over_is_not_told_again_as_it_was(
    desk: Desk, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reviewer decides while the evidence of what is to be told again is read."""
    pager = desk.pager(**direct("am"), **alertmanager(hook))
    flagged(desk)
    desk.send_all(pager)
    refresher, teller = pager._senders["am, again"], pager._senders["am"]

    def decided(self: SampleResults, verdict: Verdict) -> Evidence:
        monkeypatch.undo()
        quarantine(desk)
        assert pager.plan() and teller.send_due() == 1
        return samples.evidence()

    monkeypatch.setattr(SampleResults, "evidence", decided)
    desk.clock.now += 60.0
    assert refresher.send_due() == 0
    ends = [datetime.fromisoformat(one["endsAt"]) for one in json.loads(hook.requests[-1].body)]
    assert ends and all(end.timestamp() <= desk.clock.now for end in ends)
