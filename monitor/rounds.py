"""Watching: look at the lines, take in what is complete, queue it, have it compared, begin again.

Clock, sleep and the worker are arguments, so a test can run days in no time.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, Protocol

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from monitor.admission import admit, rule_of
from monitor.backlog import skip_oldest
from monitor.database import in_words
from monitor.errors import LatentwatchError
from monitor.fetching import source_of
from monitor.intake import ensure_line, last_observation, note_look
from monitor.line_settings import LineSettings
from monitor.lookup import last_observations
from monitor.pairing import bases, queue_versions, trust_endorsed, trust_first
from monitor.schema import Line, Trust, Version
from monitor.settings import Settings
from monitor.source import Observation, Place
from monitor.watch import Event, State, settling, step, untold

logger = logging.getLogger(__name__)

RETRY_SECONDS = 3600.0
"""After this long a failed comparison is tried again; at once when watching begins."""

_DECIDED = (Trust.PASSED, Trust.FLAGGED, Trust.TRUSTED, Trust.QUARANTINED)


class Worker(Protocol):
    """Whatever compares versions."""

    def recipe_digest(self) -> str:
        """The recipe by which diffs are queued."""
        ...

    def run_queued(self) -> None:
        """Run all queued diffs."""
        ...


class Around(NamedTuple):
    """Where watching takes place."""

    sessions: sessionmaker[Session]
    worker: Worker
    report: Callable[[str], None]
    """Gets sentences for the operator."""
    clock: Callable[[], float]
    """Seconds since the epoch."""
    sleep: Callable[[float], None]


def watch_once(settings: Settings, around: Around) -> int:
    """One round over all lines; the exit code.

    0: everything there is decided, and nothing was flagged in this round. 1: something was flagged.
    3: something could not be decided. A push inside its quiet period is waited for, for as many
    polls as the line's settings ask.
    """
    recipe = around.worker.recipe_digest()
    lines = [LineWatch(line, settings, around) for line in settings.lines]
    flagged_before = _flagged(around.sessions)
    started = around.clock()
    for line in lines:
        line.look()
        for _ in range(line.settings.quiet_polls + 1):
            if not settling(line.state):
                break
            around.sleep(line.settings.quiet_seconds / line.settings.quiet_polls)
            line.look()
        line.queue(recipe, failed_before=around.clock())
    ran = _run(around)
    for line in lines:  # what lay in the queue under another recipe has failed by now
        line.queue(recipe, failed_before=started)
    ran = _run(around) and ran
    with around.sessions() as session:
        present = [version for line in lines for version in line.present(session)]
    if any(v and v.state == Trust.FLAGGED and v.id not in flagged_before for v in present):
        return 1
    undecided = any(version is None or version.state not in _DECIDED for version in present)
    return 3 if undecided or not ran or any(line.problem or line.failures for line in lines) else 0


def watch_forever(settings: Settings, around: Around) -> None:
    """Round after round, with a pause in between."""
    recipe = around.worker.recipe_digest()
    lines = [LineWatch(line, settings, around) for line in settings.lines]
    failed_before = around.clock()
    while True:
        for line in lines:
            line.look()
            line.queue(recipe, failed_before)
        _run(around)
        around.sleep(settings.poll_seconds)
        with suppress(LatentwatchError):  # the diffs fail with the reason until it is repaired
            recipe = around.worker.recipe_digest()
        failed_before = max(failed_before, around.clock() - RETRY_SECONDS)


class LineWatch:
    """One watched line, with what was seen of it."""

    def __init__(self, settings: LineSettings, whole: Settings, around: Around) -> None:
        self.settings = settings
        self.state: State = {}
        self.problem: str | None = None
        """What keeps the whole line from being checked."""
        self.failures: dict[str, str] = {}
        """Pushes that could not be taken in, by name, and why; they are tried again."""
        self._around, self._max_waiting = around, whole.max_waiting
        self._source = source_of(settings, whole)
        self._endorsed: list[Observation] = []
        self._told: set[str] = set()
        self._reported: str | None = None

    def look(self) -> None:
        """Register what is complete, and record what is not."""
        now = self._around.clock()
        self.problem = None
        with self._problems():
            seen = list(self._source.scan(self._seen()))
            self._endorsed = [one for one in seen if one.endorsed_by is not None]
            self.state, events = step(self.state, seen, rule_of(self.settings), now)
            for event in events:
                self._admit(event, now)
        problem = self.problem
        with self._problems(), self._around.sessions.begin() as session:
            note_look(session, self.settings.name, problem, now)

    def _seen(self) -> set[Place]:
        """Up to the last look: what was admitted by name since says nothing of other pushes."""
        with self._around.sessions() as session:
            line = session.scalar(select(Line).filter_by(name=self.settings.name))
            if line is None or line.looked_at is None:
                return set()
            last = last_observations(session, line)
            return {Place(*place) for place, row in last.items() if row.seen_at <= line.looked_at}

    def _admit(self, event: Event, now: float) -> None:
        name = event.observation.name
        try:
            news = admit(self._around.sessions, self.settings.name, self._source, event, now)
        except Exception as error:
            # Told again by the next look: else nobody would ever hear of this push.
            self.state = untold(self.state, event.observation)
            news = f"{self.settings.name}: {name} could not be taken in: {_in_words(error)}"
            if self.failures.get(name) == news:
                return
            self.failures[name] = news
        else:
            self.failures.pop(name, None)
        if news:
            self._around.report(news)

    def queue(self, recipe_digest: str, failed_before: float) -> None:
        """Queue what has to be compared of what lay there at the last look."""
        if self.problem is not None:
            return
        now = self._around.clock()
        skipped: list[Version] = []
        with self._problems(), self._around.sessions.begin() as session:
            line = ensure_line(session, self.settings.name, now)
            trust_first(session, line, self.settings, now)
            for endorsed in self._endorsed:
                self._trust(session, line, endorsed, now)
            queue_versions(
                session,
                line,
                bases(session, line, self.settings),
                {version.id for version in self.present(session) if version},
                recipe_digest,
                failed_before=failed_before,
                now=now,
            )
            skipped = skip_oldest(session, line, self._max_waiting, now)
        for version in skipped:
            said = f"{version.name} is {version.state}, {version.reason}"
            self._around.report(f"{self.settings.name}: {said}")

    def _trust(self, session: Session, line: Line, seen: Observation, now: float) -> None:
        last = last_observation(session, line, seen.name, seen.locator)
        if last is None or last.version_id is None or seen.endorsed_by is None:
            return
        version = session.get_one(Version, last.version_id)
        trust_endorsed(session, version, seen.endorsed_by, self._report_once, now)

    def _report_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._around.report(f"{self.settings.name}: {sentence}")

    def present(self, session: Session) -> Iterator[Version | None]:
        """The versions that lay there at the last look; None for a push that is none."""
        line = session.scalar(select(Line).filter_by(name=self.settings.name))
        if line is None:
            return
        seen = last_observations(session, line)
        versions = session.scalars(select(Version).filter_by(line_id=line.id))
        known = {version.id: version for version in versions}
        for place in self.state:
            last = seen.get(place)
            version_id = None if last is None else last.version_id
            yield None if version_id is None else known[version_id]

    @contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # A database that is away is back in some later round; watching must outlive that, and
            # what nobody expected of one line must not keep the others from being looked at.
            self.problem = _in_words(error)
            if self.problem != self._reported:
                self._around.report(self.problem)
        self._reported = self.problem


def _run(around: Around) -> bool:
    """Whether the worker could run what was queued."""
    try:
        around.worker.run_queued()
    except Exception as error:
        around.report(_in_words(error))
        return False
    return True


def _in_words(error: Exception) -> str:
    if isinstance(error, LatentwatchError | SQLAlchemyError):
        return in_words(error)
    logger.error("this was not expected", exc_info=error)
    return f"{type(error).__name__}: {error}; this is a fault of latentwatch, its log says where"


def _flagged(sessions: sessionmaker[Session]) -> set[int]:
    with sessions() as session:
        return set(session.scalars(select(Version.id).filter_by(state=Trust.FLAGGED)))
