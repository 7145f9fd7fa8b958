"""What a process works with that has diffs compared, and how it has that done by another one."""

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from monitor.database.opening import in_words
from monitor.errors import CancelledError, LatentwatchError, LeaseLostError, SourceError
from monitor.settings import Settings
from workers.engines import check_engine, isolation_for
from workers.errors import InputsError, OtherRecipeError
from workers.processes.attempt import Attempt, EndedEarlyError
from workers.processes.isolated_process import Work
from workers.processes.isolation import environment_of_diffs
from workers.processes.supervisor import Ending, Limits, supervise
from workers.progress import DiffProgress

EndedT = TypeVar("EndedT")

logger = logging.getLogger(__name__)

NEEDED = {"data_dir", "store_dir", "cache_bytes", "recipe", "explainer", "limits"}
"""The settings that a process gets which opens untrusted checkpoints: no other is its business."""
WRITE_SECONDS = 60.0
"""How long a result is kept for a database that is away."""
COMPARE_COMMAND = (sys.executable, "-m", "workers.processes.diff_process")
ANSWER_COMMAND = (sys.executable, "-m", "workers.processes.question_process")


class Unshown:
    """Nobody watches the terminal of a worker; the row has it all."""

    def begin(self, stage: str) -> None:
        pass

    def step(self, what: str, done: int, total: int) -> None:
        pass

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        pass


class Workplace(NamedTuple):
    """What a process works with that has diffs compared."""

    sessions: sessionmaker[Session]
    settings: Settings
    command: Sequence[str]
    """Of the process that compares; `workers.processes.diff_process`."""
    must_stop: Callable[[], bool]
    worker: str
    """Its name, which tells the workers of a host apart."""
    clock: Callable[[], float] = time.time
    answer_command: Sequence[str] = ANSWER_COMMAND
    """Of the process that answers; `workers.processes.question_process`."""
    progress: Callable[[], AbstractContextManager[DiffProgress]] = lambda: nullcontext(Unshown())
    """Shows one diff."""
    report: Callable[[str], None] = logger.info
    """Gets sentences for the operator."""


def settings_for_processes(settings: Settings) -> dict[str, Any]:
    """What of `settings` a process that opens untrusted checkpoints gets."""
    return settings.model_dump(mode="json", include=NEEDED, exclude={"explainer": {"api_key"}})


def work_apart(
    place: Workplace,
    command: Sequence[str],
    work: Work,
    hear: Callable[[dict[str, Any]], None],
    attempt: Attempt,
) -> Ending:
    """Have `command` do `work` in a process of its own, for as long as `attempt` has left, without
    a network unless the work says that it may reach one. `hear` gets its lines
    (`workers.processes.supervisor`). Raises WorkplaceError where the engine can't run here."""
    broker = place.settings.broker
    check_engine(place.settings)
    isolation = () if work.shared_network is None else isolation_for(place.settings)
    return supervise(
        [*isolation, *command],
        environment_of_diffs(os.environ) | _explainer_key(place.settings),
        work.model_dump_json(),
        hear,
        place.must_stop,
        Limits(
            attempt.deadline,
            broker.silence_seconds,
            broker.stall_seconds,
            broker.grace_seconds,
            attempt.spent,
        ),
    )


def _explainer_key(settings: Settings) -> dict[str, str]:
    """Wherever it was read from: files of secrets are not for the process that compares."""
    explainer = settings.explainer
    if explainer.api_key is None:
        return {}
    return {explainer.key_variable: explainer.api_key.get_secret_value()}


def with_errors(name: str, work: Callable[[], EndedT]) -> EndedT | Ending:
    """How `work` ended, an error included. Raises LeaseLostError alone."""
    try:
        return work()
    except LeaseLostError:
        raise
    except EndedEarlyError as error:
        return error.ending
    except CancelledError as error:
        return Ending(cancelled=str(error))
    except (OtherRecipeError, InputsError) as error:
        return Ending(elsewhere=str(error))
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
