"""The process that brings alerts to reviewers and takes their answers.

Several may run: all take answers, one sends.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from socketserver import ThreadingMixIn
from threading import Event, Lock, Thread
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from slack_sdk import WebClient
from sqlalchemy.orm import Session, sessionmaker

from alerts.channel import RefusedError
from alerts.rate_limit import RateLimit
from alerts.slack.channel import SlackChannel
from alerts.slack.client import web_client
from alerts.slack.clock import seconds_up
from alerts.slack.http import SlackEndpoint
from alerts.slack.interaction import Handler
from alerts.slack.socket import socket_mode
from monitor.alerting.alerts import catch_up
from monitor.alerting.outbox import plan, wait_no_longer
from monitor.alerting.view import router_of
from monitor.errors import AlertingError, SettingsError
from monitor.jobs.leader import PAGER, lead
from monitor.owner import this_process
from monitor.paging.alert_clock import tick
from monitor.paging.courier import Courier
from monitor.paging.destinations import alertmanager_of, destination_of
from monitor.paging.outages import plan_outages
from monitor.paging.poster import Poster
from monitor.paging.postings import Postings, Results
from monitor.paging.refresher import Refresher
from monitor.paging.removed_places import settle_removed
from monitor.paging.slack_desk import GroupMembers, SlackDesk
from monitor.settings.alerts import AlertSettings, SlackSettings
from monitor.settings.destinations import AlertmanagerSettings

logger = logging.getLogger(__name__)

LEAD_SECONDS, TICK_SECONDS = 60.0, 10.0
PAUSE_SECONDS = 0.5
STOP_SECONDS = 15.0
"""For what is being sent when it is told to stop."""


def slack_client(slack: SlackSettings) -> WebClient:
    """The client of the workspace. Raises SettingsError where there is no token."""
    if slack.bot_token is None:
        raise SettingsError(
            "alerts.slack.bot_token: is not set; set LATENTWATCH_ALERTS__SLACK__BOT_TOKEN to the "
            "bot token of your Slack app (xoxb-...)"
        )
    return web_client(slack.bot_token.get_secret_value(), str(slack.api_url), slack.timeout_seconds)


class Sender(Protocol):
    """Sends to one destination, or to the channels of Slack."""

    def send_due(self) -> int:
        """Send what may be sent now; how many messages that was."""
        ...


class Pager:
    """Sends, at most as often as it is asked to; `run` does so until `stop` is set."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        settings: AlertSettings,
        results: Results,
        report: Callable[[str], None],
        suites: Sequence[str],
        clock: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = seconds_up,
    ) -> None:
        """`suites` are the entries of recipe.suites, each of which can be asked for."""
        self._sessions, self._settings = sessions, settings
        self._clock, self._elapsed = clock, elapsed
        self._report, self._suites = report, suites
        self._client = slack_client(settings.slack) if settings.slack_channels else None
        self._senders = senders_of(
            sessions, settings, self._client, results, report, clock, elapsed
        )
        self._next_tick = self._planned_at = float("-inf")
        self._leads = False
        self._wake = Event()

    def step(self) -> int:
        """Plan and send what is due, one after the other; how many messages were sent."""
        return sum(sender.send_due() for sender in self._senders.values()) if self.plan() else 0

    def plan(self) -> bool:
        """Plan what is due; whether this is the process that sends."""
        now, settings = self._clock(), self._settings
        with self._sessions.begin() as session:
            router = router_of(session, settings.routes)
            if self._leads:
                wait_no_longer(session, self._planned_at - now, now)
            ticks = self._elapsed() >= self._next_tick
            if ticks:
                self._leads = lead(session, PAGER, this_process(), now, LEAD_SECONDS)
                self._next_tick = self._elapsed() + TICK_SECONDS
                if self._leads:
                    places, limit = settings.places, settings.unchecked_seconds
                    tick(session, router, places, limit, now)
                    after = settings.outage_seconds
                    plan_outages(session, settings.hearers, settings.places, after, now)
            if self._leads:
                plan(session, router, settings.places, now)
                if ticks:
                    settle_removed(session, router, settings.places, now)
        self._planned_at = now
        return self._leads

    def run(self, stop: Event) -> None:
        """Take answers and send, until `stop` is set. Raises AlertingError at the start.

        Every sender has a thread of its own, so that none waits for another.
        """
        with self._sessions.begin() as session:
            catch_up(session, self._clock())
        ended = Event()
        with ExitStack() as running:
            for listener in self._listeners():
                running.enter_context(listener)
            for name, sender in self._senders.items():
                work = partial(self._send, sender)
                thread = Thread(target=self._repeat, args=(work, name, ended), daemon=True)
                thread.start()
                running.callback(thread.join, STOP_SECONDS)
            running.callback(ended.set)
            self._repeat(self.plan, "the plan", stop)

    def _send(self, sender: Sender) -> None:
        if self._leads:
            sender.send_due()

    def _repeat(self, work: Callable[[], object], name: str, stop: Event) -> None:
        told: str | None = None
        while not stop.is_set():
            problem = None
            try:
                work()
            except Exception as error:  # who pages must not die of anything
                problem = f"{name}: alerts can't be sent now: {type(error).__name__}: {error}"
                if problem != told:
                    logger.exception("%s: alerts can't be sent now", name)
                    self._report(problem)
            told = problem
            self._wake.wait(PAUSE_SECONDS)
            self._wake.clear()

    def _listeners(self) -> Iterator[AbstractContextManager[None]]:
        slack = self._settings.slack
        if self._client is None:
            return
        members = GroupMembers(self._client, self._clock)
        desk = SlackDesk(
            *(self._sessions, self._settings, self._client, members, self._wake.set),
            *(self._clock, self._suites),
        )
        if slack.app_token is not None:
            token = slack.app_token.get_secret_value()
            yield _over_socket(token, self._client, desk.receive, self._report)
        if slack.signing_secret is not None:
            secret = slack.signing_secret.get_secret_value()
            yield _over_http(slack.listen, SlackEndpoint(secret, desk.receive, self._clock))


def senders_of(
    sessions: sessionmaker[Session],
    settings: AlertSettings,
    client: WebClient | None,
    results: Results,
    report: Callable[[str], None],
    clock: Callable[[], float],
    elapsed: Callable[[], float],
) -> dict[str, Sender]:
    """Whatever sends, by name: Slack where there is a client, and every destination."""
    senders: dict[str, Sender] = {}
    if client is not None:
        channel = SlackChannel(client, elapsed)
        postings = Postings(sessions, settings, results)
        common = (sessions, channel, RateLimit(elapsed), postings, report, clock)
        senders["Slack"] = Poster(*common, pictures=False)
        # To draw takes longer than to post.
        senders["Slack's pictures"] = Poster(*common, pictures=True)
    for name, given in settings.destinations.items():
        destination = destination_of(name, given)
        clocks = (clock, elapsed, Lock())
        senders[name] = Courier(sessions, name, destination, results, report, *clocks)
        if isinstance(given, AlertmanagerSettings):
            senders[f"{name}, again"] = Refresher(
                sessions, name, alertmanager_of(given), given.repeat_seconds, results, *clocks
            )
    return senders


@contextmanager
def _over_socket(
    app_token: str, client: WebClient, handler: Handler, report: Callable[[str], None]
) -> Iterator[None]:
    try:
        with socket_mode(app_token, client, handler, report):
            yield
    except RefusedError as error:
        raise AlertingError(
            f"Socket Mode: {error}; check alerts.slack.app_token (xapp-..., with the scope "
            "connections:write) and that Socket Mode is enabled for the app"
        ) from error


@contextmanager
def _over_http(listen: str, endpoint: SlackEndpoint) -> Iterator[None]:
    host, port = listen.split(":")
    try:
        server = make_server(host, int(port), endpoint, _Server, _Quiet)
    except OSError as error:
        raise AlertingError(
            f"alerts.slack.listen: can't listen on {listen}: {error.strerror}; choose another one"
        ) from error
    with server:
        Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Of a connection that ended in the middle: anybody can cause that, and it is no news."""
        error = sys.exception()
        if isinstance(error, OSError):
            logger.debug("%s: no whole request came: %r", client_address, error)
        else:
            logger.error("a request could not be answered", exc_info=error)


class _Quiet(WSGIRequestHandler):
    timeout = 10
    """Seconds that a client may take to send its request."""

    def log_message(self, format: str, *args: object) -> None:
        logger.debug(format, *args)
