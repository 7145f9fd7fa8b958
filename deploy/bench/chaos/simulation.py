"""A schedule in one process: every step of every process in an order drawn from the seed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from deploy.bench.chaos import invariants, ledger
from deploy.bench.chaos.actors import Reconciler, Surroundings, Watcher, Worker
from deploy.bench.chaos.invariants import Findings
from deploy.bench.chaos.schedule import Fault, Schedule
from deploy.bench.chaos.world import Clock, FailingDatabase
from deploy.bench.pushes import Pushes
from deploy.bench.small_recipe import small_recipe
from monitor.database.opening import open_database
from monitor.settings import Settings, load_settings
from workers.dispatch.claim import present_recipe
from workers.processes.heartbeat import LEASE_SECONDS
from workers.processes.supervisor import Ending

SPAN = 150
"""Steps during which versions are pushed and things go wrong."""
PATIENCE_SECONDS = 12 * 3600.0
"""Within which all has to be decided after the last fault; what failed thrice waits 7 h."""
JUMP_SECONDS = 86_400.0
AWAY_STEPS = 40
FULL_STEPS = 60
WORKERS = 3


class Simulation:
    """One schedule, from the first push to what came of it."""

    def __init__(self, schedule: Schedule, directory: Path, settings: Settings) -> None:
        self._schedule = schedule
        self._random = Random(schedule.seed)
        self.pushes = Pushes(directory / "line")
        self._clock = Clock(1_800_000_000.0)
        self._database = FailingDatabase(open_database(settings.database_url))
        ledger.prepare(self._database.inner)
        self._around = Surroundings(self._database, settings, present_recipe(settings), self._clock)
        self._watchers = [Watcher(self._around) for _ in range(2)]
        self._reconcilers = [Reconciler(self._around) for _ in range(2)]
        self._workers = [Worker(self._around) for _ in range(WORKERS)]
        self._later: list[tuple[int, Callable[[], object]]] = []
        self._step = 0
        self._struck: list[Fault] = []

    def run(self) -> Findings:
        """Run until everything is decided, or long enough."""
        self._plan()
        while self._later or self._step < SPAN:
            self._one_step()
        gives_up_at = self._clock.now + PATIENCE_SECONDS
        while not self._is_quiet() and self._clock.now < gives_up_at:
            self._one_step()
        with self._database.inner() as session:
            seen = invariants.contents(session)
            pushed = seen | self.pushes.contents()
            found = invariants.look(session, pushed, self._around.store, self.pushes.replaced)
        self._database.inner.kw["bind"].dispose()
        return found._replace(struck=tuple(self._struck))

    def _plan(self) -> None:
        for number in range(self._schedule.pushes):
            self._later.append((number * 12, partial(self.pushes.push, f"v{number + 1}")))
        for at, fault in self._schedule.faults:
            self._later.append((int(at * SPAN), partial(self._strike, fault)))

    def _one_step(self) -> None:
        self._step += 1
        for one in [one for one in self._later if one[0] <= self._step]:
            self._later.remove(one)
            one[1]()
        busy = any(worker.is_busy and not worker.hangs for worker in self._workers)
        self._clock.now += self._random.uniform(0.0, 2.0 if busy or self._later else 90.0)
        actors: list[Watcher | Reconciler | Worker] = [*self._watchers, *self._reconcilers]
        self._random.choice([*actors, *self._workers, *self._workers]).step()

    def _is_quiet(self) -> bool:
        if any(worker.is_busy for worker in self._workers):  # who hung wants to write, too
            return False
        with self._database.inner() as session:
            return not invariants.active(session) and not invariants.unsettled(
                session, self.pushes.contents()
            )

    def _strike(self, fault: Fault) -> None:
        if self._strikes(fault):
            self._struck.append(fault)

    def _strikes(self, fault: Fault) -> bool:
        """Bring about `fault`; False when there was nothing that it could strike."""
        random, around = self._random, self._around
        busy = [worker for worker in self._workers if worker.is_busy]
        worker = random.choice(busy or self._workers)
        match fault:
            case Fault.DIFF_KILLED:
                return worker.end(Ending(crashed="the process was killed"))
            case Fault.POOL_KILLED | Fault.WORKER_KILLED:
                worker.restart()
            case Fault.WORKER_STOPPED:
                return worker.end(Ending(stopped=True))
            case Fault.WORKER_HANGS:
                awake = [one for one in self._workers if not one.is_to_hang]
                if not awake:
                    return False
                worker = random.choice([one for one in awake if one.is_busy] or awake)
                worker.hang(3 * LEASE_SECONDS, before_writing=random.random() < 0.5)
            case Fault.RECONCILER_KILLED:
                random.choice(self._reconcilers).restart()
            case Fault.WATCHER_KILLED:
                random.choice(self._watchers).restart()
            case Fault.REDIS_KILLED_EMPTY:
                around.broker.forget()
                self._away(around.broker)
            case Fault.REDIS_KILLED_WITH_DATA | Fault.REDIS_HANGS:
                self._away(around.broker)
            case Fault.REDIS_FLUSHED:
                around.broker.forget()
            case Fault.REDIS_CUT_OFF:
                around.broker.redeliver()
            case Fault.REDELIVERED:
                return around.broker.redeliver()
            case Fault.POSTGRES_KILLED:
                self._database.loses_next_answer = True
                self._away(self._database)
            case Fault.DISK_FULL:
                self._for(FULL_STEPS, partial(setattr, around.store, "is_full"))
            case Fault.CLOCK_FORWARD:
                self._clock.now += JUMP_SECONDS
            case Fault.CLOCK_BACK:
                self._clock.now -= JUMP_SECONDS
            case Fault.PUSH_CHANGED:
                return self.pushes.change(random, "v")
        return True

    def _away(self, what: object) -> None:
        delay = self._random.randint(1, 4)
        set_away = partial(setattr, what, "is_away")
        self._later.append((self._step + delay, lambda: self._for(AWAY_STEPS, set_away)))

    def _for(self, steps: int, switch: Callable[[bool], None]) -> None:
        switch(True)
        self._later.append((self._step + steps, lambda: switch(False)))


def simulate(schedule: Schedule, directory: Path) -> Findings:
    """What came of the schedule; `directory` is empty."""
    settings = load_settings(
        data_dir=directory / "data",
        recipe=small_recipe(directory / "recipe"),
        lines=[
            {
                "name": "line",
                "directory": directory / "line",
                "ready_marker": Pushes.MARKER,
                "trusted": Pushes.BASE,
            }
        ],
    )
    return Simulation(schedule, directory, settings).run()
