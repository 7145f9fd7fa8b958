"""The status of the service for programs, and as tables for the terminal."""

from typing import Any

from rich import filesize
from rich.console import Group, RenderableType

from alerts.wording import duration
from monitor.jobs.clocks import in_words
from monitor.jobs.progress import Step
from monitor.jobs.readings import Readings
from monitor.jobs.status import Status, is_alive
from monitor.pace import BYTES
from monitor.terminal.tables import add_row, moment, new_table, plain


def status_data(status: Status, now: float) -> dict[str, Any]:
    """The status as JSON; times in seconds since the epoch."""
    return {
        "queues": [queue._asdict() for queue in status.queues],
        "delayed": status.delayed,
        "running": [
            row._asdict()
            | {
                "step": None if row.step is None else _step(row.step, now),
                "readings": row.readings and row.readings._asdict(),
            }
            for row in status.running
        ],
        "questions": [row._asdict() for row in status.questions],
        "workers": [
            {
                "name": worker.name,
                "queues": worker.queues.split(","),
                "gpu": worker.gpu,
                "started_at": worker.started_at,
                "seen_at": worker.seen_at,
                "alive": is_alive(worker, now),
            }
            for worker in status.workers
        ],
        "unchecked": status.unchecked,
        "unread": status.unread,
        "wrong_clocks": status.wrong_clocks,
        "oldest_unchecked": status.oldest_unchecked and status.oldest_unchecked._asdict(),
    }


def status_view(status: Status, now: float, *, has_broker: bool) -> RenderableType:
    """The status as tables for the terminal. Without a broker the watch compares."""
    queues = new_table("queue", "due", "waiting for another try")
    for queue in status.queues:
        add_row(queues, queue.name, str(queue.due), str(queue.delayed))
    running = new_table("running", "stage", "step", "done", "left", "memory", "try", "by")
    for row in status.running:
        what, done, left = _progress(row.step, now)
        memory, tried = _memory(row.readings), str(row.attempt)
        by = row.owner if row.readings is None else row.readings.worker
        add_row(running, row.name, row.stage, what, done, left, memory, tried, by)
    questions = new_table("question", "about", "state", "asked by", "since")
    for asked in status.questions:
        asked_at = moment(asked.asked_at)
        add_row(questions, str(asked.id), asked.what, asked.state, asked.asked_by, asked_at)
    workers = new_table("worker", "queues", "gpu", "since", "state")
    for worker in status.workers:
        silent = f"silent for {duration(now - worker.seen_at)}"
        state = "alive" if is_alive(worker, now) else silent
        gpu = worker.gpu or "as found"
        add_row(workers, worker.name, worker.queues, gpu, moment(worker.started_at), state)
    shown = [questions] if status.questions else []
    parts: list[RenderableType] = [queues, running, *shown, workers]
    alive = {
        q for worker in status.workers if is_alive(worker, now) for q in worker.queues.split(",")
    }
    for queue in status.queues:
        if queue.due and queue.name not in alive:
            remedy = "start one with `latentwatch worker`"
            if not has_broker:
                remedy = "`latentwatch watch` compares, one after the other, while it runs"
            parts.append(plain(f"no worker takes {queue.name}: {remedy}"))
    for reason, count in status.delayed.items():
        parts.append(plain(f"waiting: {count} for another try: {reason}"))
    for host, ahead in status.wrong_clocks.items():
        parts.append(plain(in_words(host, ahead), "red"))
    for line, problem in status.unread.items():
        parts.append(plain(f"held up: {line}: {problem}"))
    for line, states in status.unchecked.items():
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        parts.append(plain(f"unchecked: {line}: {counts}"))
    if status.oldest_unchecked is not None:
        name, state, since = status.oldest_unchecked
        parts.append(plain(f"oldest unchecked: {name} ({state}), since {moment(since)}"))
    elif not status.unread:
        parts.append(plain("nothing is unchecked"))
    return Group(*parts)


def _progress(step: Step | None, now: float) -> tuple[str, str, str]:
    if step is None:
        return "", "", ""
    if step.total < 1:
        return step.what, "", ""
    left = step.seconds_left(now)
    shown = filesize.decimal if step.what in BYTES else str
    return (
        step.what,
        f"{shown(step.done)}/{shown(step.total)} ({100 * step.done // step.total} %)",
        "" if left is None else duration(left),
    )


def _memory(readings: Readings | None) -> str:
    if readings is None:
        return ""
    memory = filesize.decimal(readings.memory)
    if readings.gpu_memory_used is None or readings.gpu_memory is None:
        return memory
    return f"{memory}, GPU {100 * readings.gpu_memory_used // readings.gpu_memory} %"


def _step(step: Step, now: float) -> dict[str, Any]:
    return step._asdict() | {"seconds_left": step.seconds_left(now)}
