"""Places that the settings name no longer: what nobody saw there goes where the routes lead."""

from sqlalchemy import select

from monitor.database.schema import AlertMessage
from tests.alerts import samples
from tests.monitor.paging.alerting import ALERTS, CRITICAL, Desk
from tests.monitor.paging.destinations import Receiver
from tests.monitor.paging.told import direct, flagged, webhook

WRONG = "C0WRONG"


def waits(desk: Desk) -> set[str]:
    """Where something is unsent, or could not be sent."""
    late = AlertMessage.sent < AlertMessage.wanted
    with desk.sessions() as session:
        found = select(AlertMessage.channel).where(late | AlertMessage.failing_since.is_not(None))
        return set(session.scalars(found))


def routes(channel: str) -> list[dict[str, object]]:
    return [{"channel": channel, "behaviours": ["sycophancy"]}, {"channel": ALERTS}]


def test_what_a_wrong_channel_never_showed_is_posted_when_it_is_corrected(desk: Desk) -> None:
    base, anchor = desk.add_version("v1", trusted=True), desk.add_version("v0", trusted=True)
    found = samples.flagged()
    flags = [one.model_copy(update={"flagged": True}) for one in found.behaviours]
    found = found.model_copy(update={"behaviours": flags})
    desk.check(base, "v2", found)
    desk.check(anchor, "v2", found)  # it stands in the thread of the first
    desk.send_all(desk.pager(routes=routes(WRONG)))
    assert waits(desk) == {WRONG} and "channel_not_found" in str(desk.reports)
    before = len(desk.posted()), len(desk.thread())
    pager = desk.pager(routes=routes(CRITICAL))
    desk.send_all(pager)
    first = desk.posted(CRITICAL)[0]
    assert first["text"].startswith("🔴 FLAGGED (critical)")
    in_thread = desk.thread(CRITICAL)
    assert [reply["text"][:9] for reply in in_thread if "files" not in reply] == ["🔴 FLAGGED"]
    assert len([reply for reply in in_thread if "files" in reply]) == 2
    assert waits(desk) == set()
    assert (len(desk.posted()), len(desk.thread())) == before  # nothing is new to who saw it
    desk.clock.now += 14_400.0
    desk.send_all(pager)
    assert "Still open after" in str(desk.thread(CRITICAL))


def test_what_a_wrong_destination_never_took_is_told_to_the_right_one(
    desk: Desk, hook: Receiver
) -> None:
    hook.always = {b"": 400}
    flagged(desk)
    pager = desk.pager(**direct("hook"), **webhook(hook))
    for _ in range(2):
        pager.step()
        desk.clock.now += 10.0
    assert waits(desk) == {"hook"}
    hook.always = {}
    hook.requests.clear()
    [given] = webhook(hook)["destinations"].values()
    desk.send_all(desk.pager(**direct("right"), destinations={"right": given}))
    assert len(hook.requests) == 1 and waits(desk) == set()


def test_what_was_seen_in_a_channel_is_not_told_again_since_its_route_has_moved(
    desk: Desk,
) -> None:
    flagged(desk)
    desk.send_all(desk.pager())
    desk.send_all(desk.pager(routes=[{"channel": CRITICAL}]))
    assert desk.posted(CRITICAL) == [] and waits(desk) == set()
