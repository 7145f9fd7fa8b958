"""The long-running processes: a worker, which has one GPU to itself, and the reconciler.

A worker is a Celery worker with one pool process. That process claims a diff and supervises the
process that compares; neither it nor its parent ever imports torch. When one of the three is
killed, those below it die too.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.sharedctypes import RawValue
from typing import Any

from celery import signals
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from dfc.death import die_with_parent
from monitor.closed_memory import close_memory
from monitor.database.opening import in_words, open_database
from monitor.errors import LatentwatchError, SettingsError
from monitor.jobs.outbox import relay
from monitor.jobs.reconcile import Decisions
from monitor.jobs.reconcile import reconcile as reconcile_rows
from monitor.jobs.roster import sign_in, sign_out, take_name
from monitor.owner import this_process
from monitor.settings import Settings
from workers.dispatch.celery_app import make_app, queue_depths, send
from workers.dispatch.tasks import add_tasks
from workers.dispatch.traces import check_traces
from workers.dispatch.workplace import COMPARE_COMMAND, Workplace
from workers.engines import check_engine
from workers.keeping.shared_store import SharedStore

logger = logging.getLogger(__name__)

SIGN_IN_SECONDS = 10.0


def run_worker(
    settings: Settings,
    name: str,
    queues: Sequence[str],
    gpu: str | None,
    command: Sequence[str] = COMPARE_COMMAND,
) -> None:
    """Compare what comes in on `queues`, until SIGTERM; then save, give back and return.

    `name` tells the workers of a host apart. `gpu` is the CUDA device that it has to itself, None
    leaves CUDA_VISIBLE_DEVICES as it is. Raises BrokerError, DatabaseError, SettingsError,
    StoreError, WorkplaceError.
    """
    if settings.store.url is not None:
        SharedStore(settings.store).check()
    check_traces(settings.traces)
    check_engine(settings)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        check_gpu(gpu)
    close_memory()
    app = make_app(settings)
    sessions = open_database(settings.database_url)
    engine: Engine = sessions.kw["bind"]
    with sessions.begin() as session:
        if not take_name(session, name, this_process(), time.time()):
            raise SettingsError(
                f"a worker called {name} runs already; give this one another name by --name, or a "
                "GPU of its own by --gpu"
            )
    must_stop = RawValue("b", 0)  # shared with the pool process, and needs no lock in a handler
    add_tasks(app, Workplace(sessions, settings, command, lambda: bool(must_stop.value), name))
    parent, started_at, owner = os.getpid(), time.time(), this_process()

    def in_pool_process(**_: Any) -> None:
        engine.dispose(close=False)  # its connections are the parent's
        die_with_parent(parent)

    def stop(**_: Any) -> None:
        must_stop.value = 1

    def tell() -> None:
        try:
            with sessions.begin() as session:
                take_name(session, name, owner, time.time())
                sign_in(session, name, queues, gpu, started_at, time.time())
        except SQLAlchemyError as error:
            logger.warning("the worker could not sign in: %s", in_words(error))

    def ready(sender: Any, **_: Any) -> None:
        # By the loop that takes messages: a worker that hangs there is seen to be silent.
        tell()
        sender.timer.call_repeatedly(SIGN_IN_SECONDS, tell)

    def ended(**_: Any) -> None:
        with sessions.begin() as session:
            sign_out(session, name)

    signals.worker_shutdown.connect(ended, weak=False)
    signals.worker_process_init.connect(in_pool_process, weak=False)
    signals.worker_shutting_down.connect(stop, weak=False)
    signals.worker_ready.connect(ready, weak=False)
    app.worker_main(
        [
            *("worker", "--pool=prefork", "--concurrency=1", "--loglevel=INFO"),
            *(f"--hostname={name}", f"--queues={','.join(queues)}"),
            *("--without-gossip", "--without-mingle"),
        ]
    )


def check_gpu(gpu: str) -> None:
    """Raises SettingsError when CUDA finds no device `gpu`: the worker would compare on the CPU.

    Asked in another process, since a worker never loads torch.
    """
    found = "import torch; raise SystemExit(not torch.cuda.is_available())"
    done = subprocess.run([sys.executable, "-c", found], capture_output=True, text=True)
    if done.returncode != 0:
        raise SettingsError(
            f"--gpu {gpu}: CUDA finds no such device; `nvidia-smi -L` lists what there is"
        )


def run_reconciler(
    settings: Settings,
    report: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Set right what died or got lost, and send what is due, for ever. One process leads.

    Raises BrokerError when no broker is set; one that is away is waited for.
    """
    app, sessions = make_app(settings), open_database(settings.database_url)
    told: str | None = None
    while True:
        problem = None
        try:
            reconcile_once(sessions, partial(queue_depths, app), partial(send, app), report)
        except (LatentwatchError, SQLAlchemyError) as error:
            problem = in_words(error)
            if problem != told:
                report(problem)
        told = problem
        sleep(settings.broker.reconcile_seconds)


def reconcile_once(
    sessions: sessionmaker[Session],
    depths: Callable[[], Any],
    send: Callable[[Any], None],
    report: Callable[[str], None],
    clock: Callable[[], float] = time.time,
    owner: str | None = None,
) -> Decisions | None:
    """One look. What died is set right even while the broker is away; then BrokerError is raised.

    None when another process leads.
    """
    away: LatentwatchError | None = None
    try:
        known = depths()
    except LatentwatchError as error:
        known, away = {}, error
    with sessions.begin() as session:
        decisions = reconcile_rows(session, known, clock(), owner)
    if decisions is None:
        return None
    for one in decisions.abandoned:
        report(f"{one.kind} {one.id}: {one.reason}")
    for lost in decisions.resend:
        report(f"{lost.kind} {lost.id}: its message got lost and is sent again")
    if away is not None:
        raise away
    relay(sessions, send, clock())
    return decisions
