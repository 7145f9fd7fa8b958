"""The commands of the distributed service: `worker`, `reconcile`, `status`, `healthy`, `exporter`,
`cancel`."""

import json
import signal
import socket
import threading
import time
from typing import Annotated

import typer
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from monitor.closed_memory import close_memory
from monitor.commands.console import explained, report, show, write
from monitor.commands.options import (
    Config,
    DataDir,
    LineName,
    Reason,
    TextOrJson,
    VersionName,
    settings_of,
)
from monitor.database.opening import in_words, open_database, read_database
from monitor.database.schema import Diff, DiffState
from monitor.errors import DatabaseError, SettingsError, UnknownVersionError
from monitor.jobs.diff_endings import request_cancel
from monitor.jobs.health import Process, what_ails
from monitor.jobs.outbox import QUEUES
from monitor.jobs.status import status_of
from monitor.lineage.lookup import find_line, find_version
from monitor.owner import this_user
from monitor.terminal.status import status_data, status_view

WorkerName = Annotated[
    str | None, typer.Option("--name", help="Tells workers apart; host and device by default.")
]
Gpu = Annotated[str | None, typer.Option(help="CUDA device that it has to itself, such as 0.")]


def default_name(gpu: str | None) -> str:
    """What a worker on this host is called."""
    return f"{socket.gethostname()}-{'any' if gpu is None else gpu}"


@explained
def worker(
    queues: Annotated[str, typer.Option(help="What it compares.")] = ",".join(QUEUES),
    gpu: Gpu = None,
    name: WorkerName = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Compare what is queued, one diff at a time, until SIGTERM; start one worker per GPU."""
    from workers.dispatch.service import run_worker

    wanted = queues.split(",")
    if not set(wanted) <= set(QUEUES):
        raise SettingsError(f"--queues {queues}: must be some of {','.join(QUEUES)}")
    run_worker(settings_of(config, data_dir), name or default_name(gpu), wanted, gpu)


@explained
def reconcile(config: Config = None, data_dir: DataDir = None) -> None:
    """Wake workers, and set right what died or got lost; run it twice and one of them leads."""
    from workers.dispatch.service import run_reconciler

    settings = settings_of(config, data_dir)
    close_memory()
    run_reconciler(settings, report)


@explained
def status(
    format_: TextOrJson = "text",
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Show the queue, what runs and how far it is, the workers, and what is unchecked longest."""
    now, settings = time.time(), settings_of(config, data_dir)
    with read_database(settings.database_url)() as session:
        found = status_of(session, now)
    if format_ == "json":
        write(json.dumps(status_data(found, now), ensure_ascii=False, indent=2))
    else:
        show(status_view(found, now, has_broker=settings.broker.url is not None))


@explained
def healthy(
    process: Annotated[Process, typer.Argument(help="What is asked about.")],
    gpu: Gpu = None,
    name: WorkerName = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Ask whether a process does its work, by what it has written. Exit code: 0 yes, 1 no.

    While the database is away nothing can be said against the process, nor against a worker while
    the broker is, since it can't sign in; to start it again would not help: 0.
    """
    settings = settings_of(config, data_dir)
    lines = [line.name for line in settings.lines]
    try:
        with read_database(settings.database_url)() as session:
            asked = session, process, name or default_name(gpu), lines, time.time()
            ails = what_ails(*asked, alone=settings.broker.url is None)
    except (DatabaseError, SQLAlchemyError) as error:
        report(f"{process}: can't be asked: {in_words(error)}")
        return
    if ails is not None and process == "worker":
        import redis

        from monitor.metrics.broker import read_broker

        try:
            list(read_broker(settings.broker))
        except (redis.RedisError, OSError) as error:
            report(f"{process}: {ails}, while the broker can't be asked: {error}")
            return
    if ails is not None:
        report(f"{process}: {ails}")
        raise typer.Exit(1)


@explained
def exporter(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 9464,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Answer Prometheus at /metrics with what the database and the broker say, until SIGTERM."""
    from monitor.metrics.exporter import serve_metrics

    settings = settings_of(config, data_dir)
    close_memory()
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    serving = serve_metrics(settings, host, port, time.time)
    report(f"metrics at http://{host}:{serving.port}/metrics")
    stop.wait()
    serving.close()


@explained
def cancel(
    line: LineName,
    version: VersionName,
    reason: Reason,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Cancel the comparisons of a version that are queued or running; it stays unchecked."""
    sessions = open_database(settings_of(config, data_dir).database_url)
    with sessions.begin() as session:
        found = find_version(session, find_line(session, line), version)
        active = session.scalars(
            select(Diff.id).where(
                Diff.line_id == found.line_id,
                Diff.candidate_digest == found.content_digest,
                Diff.state.in_((DiffState.QUEUED, DiffState.RUNNING)),
            )
        ).all()
        if not active:
            raise UnknownVersionError(f"{version}: nothing of it is queued or running")
        for diff_id in active:
            request_cancel(session, diff_id, f"{this_user()}: {reason}", time.time())
    write(f"{line}: {found.name}: {len(active)} to be cancelled")
