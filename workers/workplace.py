"""What a worker process works with, and how it has work done in a process of its own."""

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from monitor.database import in_words
from monitor.errors import CancelledError, LatentwatchError, LeaseLostError, SourceError
from monitor.settings import Settings
from workers.isolated_process import Work
from workers.isolation import environment_of_diffs, without_network
from workers.supervisor import Ending, Limits, supervise

EndedT = TypeVar("EndedT")

logger = logging.getLogger(__name__)

NEEDED = {"data_dir", "store_dir", "cache_bytes", "recipe", "explainer", "limits"}
"""The settings that a process gets which opens untrusted checkpoints: no other is its business."""
WRITE_SECONDS = 60.0
"""How long a result is kept for a database that is away."""
COMPARE_COMMAND = (sys.executable, "-m", "workers.diff_process")
ANSWER_COMMAND = (sys.executable, "-m", "workers.question_process")


class Workplace(NamedTuple):
    """What a worker process works with."""

    sessions: sessionmaker[Session]
    settings: Settings
    command: Sequence[str]
    """Of the process that compares; `workers.diff_process`."""
    must_stop: Callable[[], bool]
    worker: str
    """Its name, which tells the workers of a host apart."""
    clock: Callable[[], float] = time.time
    answer_command: Sequence[str] = ANSWER_COMMAND
    """Of the process that answers; `workers.question_process`."""


def settings_for_processes(settings: Settings) -> dict[str, Any]:
    """What of `settings` a process that opens untrusted checkpoints gets."""
    return settings.model_dump(mode="json", include=NEEDED, exclude={"explainer": {"api_key"}})


def work_apart(
    place: Workplace,
    command: Sequence[str],
    work: Work,
    hear: Callable[[dict[str, Any]], None],
    deadline_seconds: float,
) -> Ending:
    """Have `command` do `work` in a process of its own, without a network unless the work says
    that it may reach one. `hear` gets its lines (`workers.supervisor`)."""
    broker = place.settings.broker
    isolation = () if work.shared_network is None else without_network()
    return supervise(
        [*isolation, *command],
        environment_of_diffs(os.environ),
        work.model_dump_json(),
        hear,
        place.must_stop,
        Limits(deadline_seconds, broker.silence_seconds, broker.grace_seconds),
    )


def with_errors(name: str, work: Callable[[], EndedT]) -> EndedT | Ending:
    """How `work` ended, an error included. Raises LeaseLostError alone."""
    try:
        return work()
    except LeaseLostError:
        raise
    except CancelledError as error:
        return Ending(cancelled=str(error))
    except SourceError as error:  # the place is away for now
        return Ending(crashed=str(error))
    except LatentwatchError as error:
        return Ending(refused=str(error))
    except Exception as error:
        logger.exception("%s ended unexpectedly", name)
        return Ending(crashed=f"{type(error).__name__}: {error}")


def write_result(place: Workplace, write: Callable[[Session, float], None]) -> None:
    """Write a result; the work behind it is worth waiting for a database that is away."""
    patience = time.monotonic() + WRITE_SECONDS
    while True:
        try:
            with place.sessions.begin() as session:
                write(session, place.clock())
            return
        except SQLAlchemyError as error:
            if time.monotonic() > patience:
                raise
            logger.warning("the result can't be written yet: %s", in_words(error))
            time.sleep(1.0)


class Unshown:
    """Nobody watches the terminal of a worker; the row has it all."""

    def begin(self, stage: str) -> None:
        pass

    def step(self, what: str, done: int, total: int) -> None:
        pass

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        pass
