"""Readings of what runs now: how far and how fast it is, and what memory it takes."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from monitor.database.schema import Diff, DiffState
from monitor.jobs.progress import Step
from monitor.jobs.readings import Readings
from monitor.metrics.reading import Reading
from monitor.settings.broker import BrokerSettings


def read_running(session: Session, limits: BrokerSettings, now: float) -> Iterator[Reading]:
    """By the worker, which runs one diff at a time, and how long what runs may take."""
    yield Reading("job_limit_seconds", ("running",), limits.deadline_seconds)
    yield Reading("job_limit_seconds", ("still",), limits.stall_seconds)
    noted = select(Diff.readings, Diff.stage, Diff.progress).where(Diff.state == DiffState.RUNNING)
    running: dict[str, tuple[Readings, str, Step | None]] = {}
    # A worker that was killed may have begun another diff; the newer lease is that one's.
    for told, stage, progress in session.execute(noted.order_by(Diff.lease_until)):
        if told is None:
            continue
        readings = Readings.of_json(told)
        step = None if progress is None else Step.of_json(progress)
        running[readings.worker] = readings, stage or "starting", step
    for worker, (readings, stage, step) in running.items():
        yield Reading("worker_memory_bytes", (worker,), readings.memory)
        if readings.began_at is not None and readings.moved_at is not None:
            yield Reading("job_running_seconds", (worker,), max(0.0, now - readings.began_at))
            yield Reading("job_still_seconds", (worker,), max(0.0, now - readings.moved_at))
        if readings.gpu_memory_used is not None and readings.gpu_memory is not None:
            yield Reading("worker_gpu_memory_used_bytes", (worker,), readings.gpu_memory_used)
            yield Reading("worker_gpu_memory_bytes", (worker,), readings.gpu_memory)
        if step is not None and step.total > 0:
            yield Reading("stage_progress_ratio", (worker, stage), step.done / step.total)
        speed = None if step is None else step.per_second(now)
        if speed is not None:
            yield Reading("stage_steps_per_second", (worker, stage), speed)
