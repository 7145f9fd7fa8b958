"""Watching one line: look at its place, take in what is complete, queue what is to be compared."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from monitor.database.opening import in_words
from monitor.database.schema import Line, Trust, Version
from monitor.errors import LatentwatchError, SourceError
from monitor.jobs.clocks import note_clock
from monitor.lineage.lookup import last_observations
from monitor.owner import host_of, this_process
from monitor.settings import Settings
from monitor.settings.lines import LineSettings
from monitor.sources.fetching import source_of, stays
from monitor.sources.source import Fate, Observation, Place, Seen
from monitor.watching.admission import admit, rule_of
from monitor.watching.backlog import skip_oldest
from monitor.watching.intake import ensure_line, note_look
from monitor.watching.pairing import (
    UNSETTLED,
    adopt_recipe,
    bases,
    queue_versions,
    trust_endorsed,
    trust_first,
)
from monitor.watching.sightings import fates, last_observation, let_go, put_off
from monitor.watching.watch import Complete, Event, State, pending, step, untold

logger = logging.getLogger(__name__)

_OPEN = (*UNSETTLED, Trust.CHECKING)
"""States that a comparison may still change."""


NOTED_SECONDS = 60.0
"""How far what is noted of pushes that are fetched and digested may be behind."""


class Worker(Protocol):
    """Whatever compares versions."""

    def recipe_digest(self) -> str:
        """The recipe by which diffs are queued."""
        ...

    def run_queued(self) -> None:
        """Run all queued diffs."""
        ...

    def run_next(self) -> bool:
        """Run the diff that comes first; whether there was one to run here."""
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
        self._noted_at: float | None = None

    def look(self) -> None:
        """Register what is complete, and record what is not."""
        now = self._around.clock()
        self.problem, self._noted_at = None, None
        with self._problems():
            seen = self._seen()
            there = list(self._source.scan(seen))
            self._endorsed = [one for one in there if one.endorsed_by is not None]
            self.state, events = step(self.state, there, rule_of(self.settings), now)
            names = {place.name for place in self.state}
            self.failures = {name: why for name, why in self.failures.items() if name in names}
            self._take_in(events, now)
            self._let_go(seen, now)
        problem = self.problem
        with self._problems(), self._around.sessions.begin() as session:
            note_clock(session, host_of(this_process()), self._around.clock())
            note_look(session, self.settings.name, problem, now)

    def _seen(self) -> Seen:
        with self._around.sessions() as session:
            found = fates(session, self.settings.name)
        # A version may have been overwritten since by what could not be taken in.
        return found | {one: Fate.PENDING for one in pending(self.state) if one in found}

    def _take_in(self, events: list[Event], now: float) -> None:
        """Admit what may be read. Nothing newer is recorded while there is no record of what could
        not be: else a look of another process would take that for seen."""
        left = list(events)
        try:
            while left:
                self._admit(left[0], now)
                del left[0]
        finally:
            for event in left:
                self.state = untold(self.state, event.observation)

    def _admit(self, event: Event, now: float) -> None:
        seen = event.observation
        if self._noted_at is None:
            self._note_taking_in(anew=False)
        try:
            news = admit(self._around.sessions, self.settings.name, self._source, event, now)
        except Exception as error:
            # Told again by the next look: else nobody would ever hear of this push.
            self.state = untold(self.state, seen)
            why = reason_of(error)
            news = f"{self.settings.name}: {seen.name} could not be taken in: {why}"
            if self.failures.get(seen.name) != news:
                self.failures[seen.name] = news
                self._around.report(news)
            if not isinstance(event, Complete) and not isinstance(error, SourceError):
                raise
            with self._around.sessions.begin() as session:
                line = ensure_line(session, self.settings.name, now)
                place, listed = Place(seen.name, seen.locator), not seen.listing.unread
                put_off(session, line, place, why, now, listed=listed)
            return
        self.failures.pop(seen.name, None)
        if news:
            self._around.report(news)
        if self._around.clock() - (self._noted_at or 0.0) > NOTED_SECONDS:
            self._note_taking_in(anew=True)

    def _note_taking_in(self, *, anew: bool) -> None:
        """Note that pushes are fetched and digested; `anew` when one is done and the next begins.
        Where a watch has died of one, the time of that stays: nobody is told else."""
        self._noted_at = self._around.clock()
        with self._around.sessions.begin() as session:
            line = ensure_line(session, self.settings.name, self._noted_at)
            if anew or line.taking_in_since is None:
                line.taking_in_since = self._noted_at

    def _let_go(self, seen: Seen, now: float) -> None:
        gone = {one for one, fate in seen.items() if fate is not Fate.GONE} - self.state.keys()
        if gone:
            with self._around.sessions.begin() as session:
                let_go(session, ensure_line(session, self.settings.name, now), gone, now)

    def queue(self, recipe_digest: str, retry_after: float) -> None:
        """Queue what has to be compared of `present`, and note what keeps it from being queued.

        What failed is due again `retry_after` seconds after its first failure
        (`monitor.watching.pairing`).
        """
        if self.problem is not None:
            return
        self._queue(recipe_digest, retry_after, self._around.clock())
        # Where a version lies and can't be listed, no row says so.
        problem = self.problem or next(iter(self.failures.values()), None)
        with self._problems(), self._around.sessions.begin() as session:
            ensure_line(session, self.settings.name, self._around.clock()).look_problem = problem

    def _queue(self, recipe_digest: str, retry_after: float, now: float) -> None:
        skipped: list[Version] = []
        with self._problems(), self._around.sessions.begin() as session:
            line = ensure_line(session, self.settings.name, now)
            trust_first(session, line, self.settings, now)
            named = [self._trust(session, line, endorsed, now) for endorsed in self._endorsed]
            line.endorsed_digest = next((one for one in named if one is not None), None)
            adopt_recipe(session, line, recipe_digest, now)
            queue_versions(
                session,
                line,
                bases(session, line, self.settings),
                {version.id for version in self.present(session) if version},
                recipe_digest,
                retry_after=retry_after,
                now=now,
            )
            skipped = skip_oldest(session, line, self._max_waiting, now)
        for version in skipped:
            said = f"{version.name} is {version.state}, {version.reason}"
            self._around.report(f"{self.settings.name}: {said}")

    def _trust(self, session: Session, line: Line, seen: Observation, now: float) -> str | None:
        """Trust the version that is `seen`; its content digest, None where it is no version."""
        last = last_observation(session, line, seen.name, seen.locator)
        if last is None or last.version_id is None or seen.endorsed_by is None:
            return None
        version = session.get_one(Version, last.version_id)
        trust_endorsed(session, line, version, seen.endorsed_by, self._report_once, now)
        return version.content_digest

    def _report_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._around.report(f"{self.settings.name}: {sentence}")

    def present(self, session: Session) -> Iterator[Version | None]:
        """The versions that lay there at the last look; None for a push that is none.

        Also those that are not settled and can still be opened where they were seen, though the
        source shows newer ones instead: else nobody would come back to them.
        """
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
        for where, hidden in seen.items():
            if hidden.version_id is not None and where not in self.state:
                version = known[hidden.version_id]
                if version.state in _OPEN and stays(self.settings, hidden.locator):
                    yield version

    @contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # A database that is away is back in some later round; watching must outlive that, and
            # what nobody expected of one line must not keep the others from being looked at.
            self.problem = reason_of(error)
            if self.problem != self._reported:
                self._around.report(self.problem)
        self._reported = self.problem


def reason_of(error: Exception) -> str:
    """What is wrong, for the operator; the log says where what nobody expected happened."""
    if isinstance(error, LatentwatchError | SQLAlchemyError):
        return in_words(error)
    logger.error("this was not expected", exc_info=error)
    return f"{type(error).__name__}: {error}; this is a fault of latentwatch, its log says where"
