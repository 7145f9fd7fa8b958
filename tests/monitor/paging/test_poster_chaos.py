"""Whatever fails, and wherever the process is killed: every message is there, and there once."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from alerts.slack.channel import SlackChannel
from deploy.bench.alerts.random_faults import METHODS
from deploy.fake_slack.faults import Fault, Kind
from monitor.database.schema import AlertMessage, AlertRow, Trust, Version
from monitor.lineage.trust import move
from monitor.paging.pager import Pager
from tests.alerts import samples
from tests.monitor.paging.alerting import ALERTS, Desk

KINDS: tuple[Kind, ...] = ("lost", "broken", "limited", "refused")
ALERTS_SENT = 3


class Killed(BaseException):
    """The process is gone in this moment."""


@pytest.mark.parametrize("seed", range(2))
def test_every_message_is_there_and_there_once(
    desk: Desk, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    for method in METHODS:
        for kind in chance.choices(KINDS, k=3):
            error = chance.choice(["channel_not_found", "internal_error", "fatal_error"])
            desk.workspace.faults.add(
                Fault(method, kind, seconds=chance.choice([1, 40]), error=error)
            )
    for name in ("post", "update", "find"):
        real = getattr(SlackChannel, name)
        monkeypatch.setattr(SlackChannel, name, _deadly(real, chance))
    base = desk.add_version("v1", trusted=True)
    for number in range(ALERTS_SENT):
        desk.check(base, f"c{number}", samples.flagged())
    pager = desk.pager()
    deaths = _run(desk, pager)
    with desk.sessions.begin() as session:  # everything changes once more
        for version in session.scalars(select(Version).filter_by(state=Trust.FLAGGED)):
            move(session, version, Trust.QUARANTINED, actor="ann", reason="leaks", now=desk.clock())
    deaths += _run(desk, desk.pager())
    assert deaths > 0
    keys = Counter(
        message["metadata"]["event_payload"]["key"]
        for message in desk.workspace.messages[ALERTS]
        if message.get("metadata")
    )
    files = Counter(
        file["name"] for m in desk.workspace.messages[ALERTS] for file in m.get("files", [])
    )
    with desk.sessions() as session:
        wanted = {message.key for message in session.scalars(select(AlertMessage))}
    assert set(keys.values()) == set(files.values()) == {1}
    assert len(files) == ALERTS_SENT
    assert set(keys) | {name.removesuffix(".png") for name in files} == wanted
    for message in desk.posted():
        assert message["text"].startswith("⛔")


def _run(desk: Desk, pager: Pager) -> int:
    """Let a day pass, with a new process for every one that was killed; how many were."""
    deaths = 0
    for _ in range(400):
        try:
            pager.step()
        except Killed:
            deaths += 1
            pager = desk.pager()
        desk.clock.now += 45.0
        if not _left(desk):
            return deaths
    raise AssertionError("not everything was sent")


def _left(desk: Desk) -> bool:
    """Whether there is anything left to be planned or sent."""
    with desk.sessions() as session:
        unplanned = select(AlertRow).where(AlertRow.planned < AlertRow.revision)
        unsent = select(AlertMessage).where(AlertMessage.sent < AlertMessage.wanted)
        return any(session.scalars(rows).first() is not None for rows in (unplanned, unsent))


def _deadly(real: Callable[..., Any], chance: random.Random) -> Callable[..., Any]:
    """`real`, during which the process is killed now and then: before, or after it was done."""

    def call(*args: Any) -> Any:
        if chance.random() < 0.07:
            raise Killed
        result = real(*args)
        if chance.random() < 0.07:
            raise Killed
        return result

    return call
