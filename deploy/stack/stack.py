"""The services of a compose file as processes: whatever ends is started again."""

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.stack.composition import CompositionError
from deploy.stack.parent import END_WITH_PARENT
from deploy.stack.places import Prepared
from deploy.stack.programs import Started, program_of

START_SECONDS = 60.0
TEND_SECONDS = 0.5
AGAIN_SECONDS = 2.0
"""Pause before what has ended is started again."""
ENDS = 5
"""So often a service may end, each time within SHORT_SECONDS of its start, before it is left."""
SHORT_SECONDS = 60.0
STOP_SECONDS = 150.0
"""How long a process may take to stop: a worker saves its training."""


class Stack:
    """Started one after the other, in the order in which they need each other."""

    def __init__(
        self,
        services: Sequence[Prepared],
        directory: Path,
        tell: Callable[[str], None],
        inherited: Sequence[int] = (),
    ) -> None:
        """`tell` is told, in a sentence, what a person should know; every process keeps the
        descriptors `inherited` open."""
        self._services = services
        self._directory, self._tell, self._inherited = directory, tell, inherited
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._started: dict[str, Started] = {}
        self._ends: dict[str, int] = {}
        self._lost: str | None = None
        self._since: dict[str, float] = {}
        self._ending = threading.Event()
        self._tender = threading.Thread(target=self._tend, name="tender")

    def __enter__(self) -> Self:
        """Raises CompositionError where a service does not start."""
        try:
            for one in _in_order(self._services):
                self._started[str(one)] = program_of(one, self._directory)
                self._start(str(one))
                if any(str(one) in other.service.after for other in self._services):
                    self._answers(one)
        except BaseException:
            self._stop()
            raise
        self._tender.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._tender.join()

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """That of the service `name`, as it runs now."""
        return self._processes[name]

    def raise_if_lost(self) -> None:
        """Raises CompositionError with what it said last, once a service is not started again."""
        if self._lost is not None:
            raise CompositionError(
                f"{self._lost} has ended {ENDS} times in a row: {self._last_words(self._lost)}"
            )

    def log(self, name: str) -> Path:
        """What the service `name` has written."""
        return self._directory / "logs" / f"{name}.log"

    def _start(self, name: str) -> None:
        arguments, environment, directory, user = self._started[name]
        self.log(name).parent.mkdir(exist_ok=True)
        self._since[name] = time.monotonic()
        with self.log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                arguments,
                env=environment,
                cwd=directory,
                user=user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=self._inherited,
                preexec_fn=END_WITH_PARENT,
            )

    def _tend(self) -> None:
        try:
            self._start_again()
        finally:
            # What this thread has started is told to stop when it ends: it has to outlive the rest.
            self._ending.wait()
            self._stop()

    def _start_again(self) -> None:
        ended: dict[str, float] = {}
        while not self._ending.wait(TEND_SECONDS):
            for name, process in self._processes.items():
                if process.poll() is None:
                    continue
                if name not in ended:
                    ended[name] = time.monotonic()
                    self._tell_end(name, process.returncode)
                elif self._ends[name] < ENDS and time.monotonic() - ended[name] > AGAIN_SECONDS:
                    del ended[name]
                    self._start(name)

    def _tell_end(self, name: str, code: int) -> None:
        lived = time.monotonic() - self._since[name]
        self._ends[name] = self._ends.get(name, 0) + 1 if lived < SHORT_SECONDS else 1
        self._tell(f"{name} has ended with {code}; see {self.log(name)}")
        if self._ends[name] == ENDS:
            self._lost = name

    def _last_words(self, name: str) -> str:
        lines = self.log(name).read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")

    def _answers(self, one: Prepared) -> None:
        """Wait until it takes connections. Raises CompositionError when it does not."""
        deadline = time.monotonic() + START_SECONDS
        process = self._processes[str(one)]
        for port in one.ports.values():
            while not _takes_connections(port) or process.poll() is not None:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise CompositionError(f"{one} does not start; see {self.log(str(one))}")
                time.sleep(0.05)

    def _stop(self) -> None:
        """Those that need others end before these do."""
        needed = {name for one in self._services for name in one.service.after}
        for names in (self._processes.keys() - needed, self._processes.keys() & needed):
            # The signal is for the process alone: a worker ends its children by itself.
            for name in names:
                self._processes[name].terminate()
            deadline = time.monotonic() + STOP_SECONDS
            for name in sorted(names):
                self._wait(name, deadline)

    def _wait(self, name: str, deadline: float) -> None:
        process = self._processes[name]
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._tell(f"{name} did not stop within {STOP_SECONDS:.0f} s and is killed")
            process.kill()
            process.wait()


def _in_order(services: Sequence[Prepared]) -> list[Prepared]:
    """Each after those that it needs."""
    named = {str(one): one for one in services}
    ordered: dict[str, Prepared] = {}

    def add(one: Prepared) -> None:
        for name in one.service.after:
            if name in named:
                add(named[name])
        ordered.setdefault(str(one), one)

    for one in services:
        add(one)
    return list(ordered.values())


def _takes_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True
