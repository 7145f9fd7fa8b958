"""What goes wrong, and when: drawn from a seed, so that a schedule that failed can be repeated."""

from enum import StrEnum
from random import Random
from typing import NamedTuple


class Fault(StrEnum):
    """One thing that goes wrong. Two watchers and two reconcilers run in every schedule."""

    DIFF_KILLED = "kill -9 of the comparing process"
    POOL_KILLED = "kill -9 of the pool process"
    WORKER_KILLED = "kill -9 of the worker"
    WORKER_STOPPED = "SIGTERM to the worker"
    WORKER_HANGS = "a worker hangs for longer than its lease"
    RECONCILER_KILLED = "kill -9 of a reconciler"
    WATCHER_KILLED = "kill -9 of a watcher"
    REDIS_KILLED_WITH_DATA = "Redis killed, restarted with its data"
    REDIS_KILLED_EMPTY = "Redis killed, restarted empty"
    REDIS_FLUSHED = "Redis flushed"
    REDIS_CUT_OFF = "all connections to Redis cut"
    REDIS_HANGS = "Redis stops answering for a while"
    REDELIVERED = "messages delivered again"
    POSTGRES_KILLED = "PostgreSQL restarted"
    DISK_FULL = "no room for results"
    CLOCK_FORWARD = "the clock jumps forward"
    CLOCK_BACK = "the clock jumps back"
    PUSH_CHANGED = "a push changed during the check"


class Timed(NamedTuple):
    """A fault and when it strikes, as a part of the schedule's span."""

    at: float
    fault: Fault


class Schedule(NamedTuple):
    """What is pushed and what goes wrong."""

    seed: int
    pushes: int
    faults: tuple[Timed, ...]


def draw(seed: int) -> Schedule:
    """The schedule of this seed: one to three versions, two to four faults.

    The first fault goes round with the seed, so that as many schedules as there are faults have
    each of them at least once.
    """
    random = Random(seed)
    every = list(Fault)
    kinds = [every[seed % len(every)], *random.choices(every, k=random.randint(1, 3))]
    faults = sorted(Timed(random.random(), kind) for kind in kinds)
    return Schedule(seed, random.randint(1, 3), tuple(faults))
