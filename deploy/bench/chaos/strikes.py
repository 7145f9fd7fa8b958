"""How each fault is brought about in real processes."""

import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psutil
import redis

from deploy.bench.chaos.hurried import WAITS
from deploy.bench.chaos.schedule import Fault
from deploy.bench.chaos.settable_clock import ClockFile
from deploy.bench.cluster import Cluster

VICTIM_SECONDS = 4.0
"""How long to wait for a process that a fault can strike."""
AWAY_SECONDS = 1.5
JUMP_SECONDS = 86_400.0
UNACKED = "latentwatch:unacked_index"
"""Celery's index of messages that were delivered and not acknowledged, by the time of that."""


def strike(
    cluster: Cluster,
    clock: ClockFile,
    fault: Fault,
    draw: random.Random,
    change: Callable[[], bool],
) -> bool:
    """Bring about `fault`, and heal it again where nothing else does; False when there was nothing
    that it could strike. `change` changes a push, if there is one."""
    redis_server, postgres = cluster.redis, cluster.postgres
    match fault:
        case Fault.DIFF_KILLED:
            return _signal(cluster.diff_processes, draw, signal.SIGKILL)
        case Fault.POOL_KILLED:
            return _signal(cluster.pool_processes, draw, signal.SIGKILL)
        case Fault.WORKER_KILLED:
            return _signal(lambda: _busy(cluster), draw, signal.SIGKILL)
        case Fault.WORKER_STOPPED:
            return _signal(lambda: _busy(cluster), draw, signal.SIGTERM)
        case Fault.WORKER_HANGS:
            seconds = 1.5 * WAITS["workers.processes.heartbeat.LEASE_SECONDS"]
            return _hang(cluster.pool_processes, draw, seconds)
        case Fault.RECONCILER_KILLED:
            return _signal(lambda: cluster.processes("reconcile"), draw, signal.SIGKILL)
        case Fault.WATCHER_KILLED:
            return _signal(lambda: cluster.processes("watch"), draw, signal.SIGKILL)
        case Fault.REDIS_KILLED_WITH_DATA | Fault.REDIS_KILLED_EMPTY:
            redis_server.kill()
            if fault == Fault.REDIS_KILLED_EMPTY:
                redis_server.forget()
            time.sleep(AWAY_SECONDS)
            redis_server.start()
        case Fault.REDIS_FLUSHED:
            redis_server.client.flushall()
        case Fault.REDIS_CUT_OFF:
            with suppress(redis.ConnectionError):
                redis_server.client.execute_command("CLIENT", "KILL", "SKIPME", "yes")
        case Fault.REDIS_HANGS:
            redis_server.pause()
            time.sleep(AWAY_SECONDS)
            redis_server.resume()
        case Fault.REDELIVERED:
            tags = redis_server.client.zrange(UNACKED, 0, -1)
            for tag in tags:
                redis_server.client.zincrby(UNACKED, -10 * JUMP_SECONDS, tag)
            return bool(tags)
        case Fault.POSTGRES_KILLED:
            postgres.stop()
            time.sleep(AWAY_SECONDS)
            postgres.start()
        case Fault.DISK_FULL:
            return _fill_disk(cluster)
        case Fault.CLOCK_FORWARD:
            clock.jump(JUMP_SECONDS)
        case Fault.CLOCK_BACK:
            clock.jump(-JUMP_SECONDS)
        case Fault.PUSH_CHANGED:
            return change()
    return True


def _busy(cluster: Cluster) -> list[psutil.Process]:
    """Workers that compare something now."""
    busy = {process.ppid() for process in cluster.diff_processes()}
    return [
        worker
        for worker in cluster.processes("worker")
        if busy & {child.pid for child in worker.children()}
    ]


def _victim(find: Callable[[], list[psutil.Process]], draw: random.Random) -> psutil.Process | None:
    deadline = time.monotonic() + VICTIM_SECONDS
    while time.monotonic() < deadline:
        with suppress(psutil.NoSuchProcess):
            if found := find():
                return draw.choice(found)
        time.sleep(0.05)
    return None  # nothing is under way any more


def _signal(
    find: Callable[[], list[psutil.Process]], draw: random.Random, number: signal.Signals
) -> bool:
    victim = _victim(find, draw)
    if victim is not None:
        with suppress(psutil.NoSuchProcess):
            victim.send_signal(number)
            return True
    return False


def _hang(find: Callable[[], list[psutil.Process]], draw: random.Random, seconds: float) -> bool:
    victim = _victim(find, draw)
    if victim is not None:
        with suppress(psutil.NoSuchProcess):
            victim.suspend()
            time.sleep(seconds)
            victim.resume()
            return True
    return False


def _fill_disk(cluster: Cluster) -> bool:
    """As on a full disk, nobody who compares can write to a file for a while; False when nobody
    does."""
    found = [*cluster.pool_processes(), *cluster.diff_processes()]
    victims = [process for process in found if _may_write_files(process, False)]
    time.sleep(AWAY_SECONDS)
    for victim in victims:
        _may_write_files(victim, True)
    return bool(victims)


def _may_write_files(process: psutil.Process, may: bool) -> bool:
    """Set its soft limit for files; False when it has ended."""
    with suppress(psutil.NoSuchProcess):
        while True:
            _, hard = process.rlimit(psutil.RLIMIT_FSIZE)
            with suppress(psutil.AccessDenied):  # it has lowered its hard limit in between
                process.rlimit(psutil.RLIMIT_FSIZE, (hard if may else 0, hard))
                return True
    return False
