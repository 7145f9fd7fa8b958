"""What a process does that opens untrusted checkpoints, whatever it is to find out about them.

It gets its work as JSON on standard input and tells its progress as lines of JSON on standard
output; the last line holds what it found. It is given no way to the database, the broker or
Slack: `workers.processes.supervisor`, its parent, writes what it found. When the parent dies it
dies too.
SIGTERM makes it stop at its next step.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO, TypeVar

from pydantic import BaseModel, ConfigDict

from dfc.death import die_with_parent
from monitor.errors import LatentwatchError
from monitor.settings import Settings, load_settings
from monitor.settings.limits import LimitSettings
from workers.job import Job
from workers.processes.isolation import isolate
from workers.processes.memory import want_of_memory
from workers.processes.process_limits import bind, limit_reached
from workers.processes.taken import taken
from workers.progress import DiffProgress

STOPPED = 75
"""Exit code after SIGTERM: what was done is saved, and another process can go on."""
ALIVE_SECONDS = 5.0


class Work(BaseModel):
    """What the parent writes to standard input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parent: int
    shared_network: str | None
    """The parent's, which this process must not reach; None where it may, to ask an explainer."""
    job: Job
    settings: dict[str, Any]
    """Those of `monitor.settings.Settings` that it needs (`workers.dispatch.workplace.NEEDED`)."""


WorkT = TypeVar("WorkT", bound=Work)


def run(kind: type[WorkT], do: Callable[[WorkT, Settings, DiffProgress], dict[str, Any]]) -> None:
    """Do the work on standard input; never returns. `do` returns the last line, with its `event`:
    `outcome`, or `crashed` with a `reason`."""
    lines = _Lines(_own_output())
    signal.signal(signal.SIGTERM, lambda *_: lines.stop())
    work = kind.model_validate_json(sys.stdin.buffer.read())
    die_with_parent(work.parent)
    isolate(work.shared_network)
    threading.Thread(target=lines.keep_alive, daemon=True).start()
    limits = LimitSettings()
    try:
        settings = load_settings(None, **work.settings)
        limits = settings.limits
        bind(limits)
        last = do(work, settings, lines)
    except LatentwatchError as error:
        last = {"event": "refused", "reason": limit_reached(error, limits) or str(error)}
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        told = limit_reached(error, limits) or want_of_memory(reason) or reason
        lines.tell(event="crashed", reason=told)
        raise
    lines.tell(**last)
    sys.exit(0)


class _Lines:
    """The progress of the diff as lines of JSON."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True

    def tell(self, **line: Any) -> None:
        text = json.dumps(line, ensure_ascii=False)
        with self._lock:
            try:
                self._stream.write(text + "\n")
                self._stream.flush()
            except BrokenPipeError:
                # The parent is dead: its pipe closes a moment before `die_with_parent` takes hold.
                os._exit(STOPPED)

    def keep_alive(self) -> None:
        while True:
            self.tell(event="alive", taken=taken())
            threading.Event().wait(ALIVE_SECONDS)

    def begin(self, stage: str) -> None:
        self._exit_if_stopping()
        self.tell(event="begin", stage=stage)

    def step(self, what: str, done: int, total: int) -> None:
        self.tell(event="step", what=what, done=done, total=total)
        self._exit_if_stopping()

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        self.tell(event="end", stage=stage, seconds=seconds, reused=reused)

    def _exit_if_stopping(self) -> None:
        if self._stopping:
            # No Exception: a stage must not take it for a failure of its own.
            raise SystemExit(STOPPED)


def _own_output() -> TextIO:
    """Standard output for this process alone: what libraries print there goes to standard error."""
    sys.stdout.flush()
    own = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    os.dup2(2, 1)
    return own
