"""Watching: look at the lines, take in what is complete, queue it, have it compared, begin again.

Clock, sleep and the worker are arguments, so a test can run days in no time.
"""

from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from monitor.database.schema import Trust, Version
from monitor.errors import LatentwatchError
from monitor.settings import Settings
from monitor.watching.line_watch import Around, LineWatch, reason_of
from monitor.watching.looks import Looks
from monitor.watching.watch import settling

RETRY_SECONDS = 3600.0
"""After this long a comparison that failed is tried again, however often watching begins anew; it
waits longer where it fails time after time."""

_DECIDED = (Trust.PASSED, Trust.FLAGGED, Trust.TRUSTED, Trust.QUARANTINED)


def watch_once(settings: Settings, around: Around) -> int:
    """One round over all lines; the exit code.

    0: everything there is decided, and nothing was flagged in this round. 1: something was flagged.
    3: something could not be decided. A push inside its quiet period is waited for, for as many
    polls as the line's settings ask.
    """
    recipe = around.worker.recipe_digest()
    lines = [LineWatch(line, settings, around) for line in settings.lines]
    flagged_before = _flagged(around.sessions)
    for line in lines:
        line.look()
        for _ in range(line.settings.quiet_polls + 1):
            if not settling(line.state):
                break
            around.sleep(line.settings.quiet_seconds / line.settings.quiet_polls)
            line.look()
        line.queue(recipe, retry_after=0.0)
    ran = _run(around)
    with around.sessions() as session:
        present = [version for line in lines for version in line.present(session)]
    if any(v and v.state == Trust.FLAGGED and v.id not in flagged_before for v in present):
        return 1
    undecided = any(version is None or version.state not in _DECIDED for version in present)
    return 3 if undecided or not ran or any(line.problem or line.failures for line in lines) else 0


def watch_forever(settings: Settings, around: Around) -> None:
    """Round after round, of one comparison each, so that all lines are looked at between two; with
    a pause where nothing was compared."""
    recipe = around.worker.recipe_digest()
    lines = [LineWatch(line, settings, around) for line in settings.lines]
    looks = Looks(lines)
    while True:
        for line in looks.take():
            line.queue(recipe, retry_after=RETRY_SECONDS)
        if not _run_next(around):
            around.sleep(settings.poll_seconds)
        with suppress(LatentwatchError):  # the diffs fail with the reason until it is repaired
            recipe = around.worker.recipe_digest()


def _run(around: Around) -> bool:
    """Whether the worker could run what was queued."""
    try:
        around.worker.run_queued()
    except Exception as error:
        around.report(reason_of(error))
        return False
    return True


def _run_next(around: Around) -> bool:
    """Whether the worker has run a comparison."""
    try:
        return around.worker.run_next()
    except Exception as error:
        around.report(reason_of(error))
        return False


def _flagged(sessions: sessionmaker[Session]) -> set[int]:
    with sessions() as session:
        return set(session.scalars(select(Version.id).filter_by(state=Trust.FLAGGED)))
