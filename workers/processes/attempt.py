"""One try of a diff or a question, from its claim on: what may end it at any moment."""

import time
from collections.abc import Callable

from workers.processes.heartbeat import Heartbeat
from workers.processes.supervisor import Ending


class EndedEarlyError(Exception):
    """Ends whatever is under way, as `ending` says."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.crashed or "told to stop")
        self.ending = ending


class Attempt:
    """What one try may still do; `deadline` is how many seconds it may take in all."""

    def __init__(
        self,
        heartbeat: Heartbeat,
        must_stop: Callable[[], bool],
        deadline: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.deadline = deadline
        self._heartbeat, self._must_stop = heartbeat, must_stop
        self._clock, self._began_at = clock, clock()

    @property
    def spent(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._began_at

    def raise_if_ended(self) -> None:
        """Raises CancelledError, LeaseLostError, or EndedEarlyError when it is time to stop."""
        self._heartbeat.raise_if_ended()
        if self._must_stop():
            raise EndedEarlyError(Ending(stopped=True))
        if self.spent > self.deadline:
            reason = f"took longer than {self.deadline:.0f} seconds before anything was compared"
            raise EndedEarlyError(Ending(crashed=f"fetching {reason}"))

    def step(self, what: str, done: int, total: int) -> None:
        """A `monitor.pace.Pace`: notes the progress, and raises as `raise_if_ended`."""
        self.raise_if_ended()
        self._heartbeat.step(what, done, total)
