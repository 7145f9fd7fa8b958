"""The process in which one diff is compared: it may run out of memory, hang or crash.

Isolated as `workers.processes.isolated_process` says, but that it may reach a network to ask an
explainer. SIGTERM makes it stop at its next step, with training saved.

All stages share one process, because they share the loaded models: one process per stage would cost
SmolLM2-135M some 200 CPU seconds more per try (docs/operate.md). A try that follows a crash takes
the finished stages from the store, and a stage that hangs is ended by `broker.stall_seconds`.
"""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from alerts.verdict import to_json
from monitor.settings import Settings
from workers.processes.isolated_process import Work, run
from workers.processes.memory import want_of_memory
from workers.processes.template_trial import try_templates
from workers.progress import DiffProgress
from workers.verdicts.outcome import Outcome


class Assignment(Work):
    """What the parent writes to standard input."""

    calibration: dict[str, Any] | None
    """Of `alerts.deciding.calibration.Calibration`."""
    calibration_age_days: float = 0.0


Compare = Callable[[Assignment, Settings, DiffProgress], Outcome]


def serve(compare: Compare) -> None:
    """Do the work on standard input by `compare`; never returns."""
    run(Assignment, lambda work, settings, progress: _told(compare(work, settings, progress)))


def _told(outcome: Outcome) -> dict[str, Any]:
    if (wanting := _cut_short(outcome)) is not None:
        return {"event": "crashed", "reason": wanting}
    return {
        "event": "outcome",
        "verdict": json.loads(to_json(outcome.verdict)),
        "evidence": outcome.evidence.model_dump(mode="json"),
        "failure": outcome.failure,
        "features": None if outcome.features is None else b64encode(outcome.features).decode(),
    }


def _cut_short(outcome: Outcome) -> str | None:
    """Why another try may measure more, for want of memory; None where that is no reason.

    What was flagged before is told at once, however little could be measured after it.
    """
    if outcome.failure is None or outcome.verdict.verdict == "flagged":
        return None
    return want_of_memory(outcome.failure)


def _compare(assignment: Assignment, settings: Settings, progress: DiffProgress) -> Outcome:
    from alerts.deciding.calibration import AgedCalibration, Calibration
    from workers.diff import run_diff
    from workers.keeping.store import LocalStore

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
