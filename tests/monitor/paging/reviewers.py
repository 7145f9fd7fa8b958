"""A pager that runs, and reviewers who use its messages."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from monitor.paging.pager import Pager
from tests.monitor.paging.alerting import ALERTS, Desk


@contextmanager
def running(pager: Pager) -> Iterator[None]:
    stop = Event()
    thread = Thread(target=pager.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def use(desk: Desk, user: str, action: str, option: str | None = None) -> None:
    desk.clock.now += 2.0  # the channel takes a message a second
    desk.slack.interactions.click(user, ALERTS, desk.posted()[0]["ts"], action, option)


def shown(desk: Desk) -> str:
    desk.clock.now += 1.0  # the channel takes what is left to be sent
    return json.dumps(desk.posted()[0]["blocks"], ensure_ascii=False)
