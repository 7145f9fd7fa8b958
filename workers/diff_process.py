"""The process in which one diff is compared: it may run out of memory, hang or crash.

It gets its work as JSON on standard input and tells its progress as lines of JSON on standard
output; the last line holds the outcome. It has no access to the database, the broker or Slack, and
to the network only to ask an explainer:
`workers.supervisor`, its parent, writes what it found. When the parent dies it dies too. SIGTERM
makes it stop at its next step, with training saved.

All stages share one process, because they share the loaded models; a try that follows a crash takes
the finished stages from the store.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

from pydantic import BaseModel, ConfigDict

from alerts.verdict import to_json
from monitor.errors import LatentwatchError
from monitor.limit_settings import LimitSettings
from monitor.settings import Settings, load_settings
from workers.death import die_with_parent
from workers.isolation import isolate
from workers.job import Job
from workers.memory import want_of_memory
from workers.outcome import Outcome
from workers.process_limits import bind, limit_reached
from workers.progress import DiffProgress
from workers.taken import taken
from workers.template_trial import try_templates

STOPPED = 75
"""Exit code after SIGTERM: what was done is saved, and another process can go on."""
ALIVE_SECONDS = 5.0


class Assignment(BaseModel):
    """What the parent writes to standard input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parent: int
    shared_network: str | None
    """The parent's, which this process must not reach; None where it may, to ask an explainer."""
    job: Job
    settings: dict[str, Any]
    """Those of `monitor.settings.Settings` that it needs (`workers.supervised.NEEDED`)."""
    calibration: dict[str, Any] | None
    """Of `alerts.calibration.Calibration`."""
    calibration_age_days: float = 0.0


Compare = Callable[[Assignment, Settings, DiffProgress], Outcome]


def serve(compare: Compare) -> None:
    """Do the work on standard input by `compare`; never returns."""
    lines = _Lines(_own_output())
    signal.signal(signal.SIGTERM, lambda *_: lines.stop())
    assignment = Assignment.model_validate_json(sys.stdin.buffer.read())
    die_with_parent(assignment.parent)
    isolate(assignment.shared_network)
    threading.Thread(target=lines.keep_alive, daemon=True).start()
    limits = LimitSettings()
    try:
        settings = load_settings(None, **assignment.settings)
        limits = settings.limits
        bind(limits)
        outcome = compare(assignment, settings, lines)
    except LatentwatchError as error:
        lines.tell(event="refused", reason=limit_reached(error, limits) or str(error))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        told = limit_reached(error, limits) or want_of_memory(reason) or reason
        lines.tell(event="crashed", reason=told)
        raise
    else:
        _tell_outcome(lines, outcome)
    sys.exit(0)


def _tell_outcome(lines: "_Lines", outcome: Outcome) -> None:
    if (wanting := _cut_short(outcome)) is not None:
        lines.tell(event="crashed", reason=wanting)
    else:
        lines.tell(
            event="outcome",
            verdict=json.loads(to_json(outcome.verdict)),
            evidence=outcome.evidence.model_dump(mode="json"),
            failure=outcome.failure,
        )


def _cut_short(outcome: Outcome) -> str | None:
    """Why another try may measure more, for want of memory; None where that is no reason.

    What was flagged before is told at once, however little could be measured after it.
    """
    if outcome.failure is None or outcome.verdict.verdict == "flagged":
        return None
    return want_of_memory(outcome.failure)


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
            self._stream.write(text + "\n")
            self._stream.flush()

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


def _compare(assignment: Assignment, settings: Settings, progress: DiffProgress) -> Outcome:
    from alerts.calibration import AgedCalibration, Calibration
    from workers.diff import run_diff
    from workers.store import LocalStore

    calibration = None
    if assignment.calibration is not None:
        known = Calibration.model_validate(assignment.calibration)
        calibration = AgedCalibration(known, assignment.calibration_age_days)
    for side in (assignment.job.base, assignment.job.candidate):
        try_templates(side.path)
    store = LocalStore(settings.store_dir)
    return run_diff(assignment.job, settings, store, progress, calibration=calibration)


if __name__ == "__main__":
    serve(_compare)
