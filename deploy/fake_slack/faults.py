"""What goes wrong with Slack, on demand: the next calls of a method fail in a named way."""

from threading import Lock
from typing import Literal, NamedTuple

Kind = Literal["limited", "broken", "lost", "slow", "refused"]


class Fault(NamedTuple):
    """One way to fail."""

    method: str
    kind: Kind
    """`limited`: 429, nothing is done. `broken`: 500, nothing is done. `lost`: it is done, and the
    connection breaks before the answer. `slow`: done and answered after `seconds`. `refused`:
    answered with `error`."""
    seconds: float = 1.0
    """Of `limited` and `slow`."""
    error: str = "internal_error"


class Faults:
    """Faults that are still to happen, in order."""

    def __init__(self) -> None:
        self._next: list[Fault] = []
        self._lock = Lock()

    def add(self, fault: Fault, times: int = 1) -> None:
        """Let the next `times` calls of the method fail."""
        with self._lock:
            self._next += [fault] * times

    def take(self, method: str) -> Fault | None:
        """The fault of this call, used up; None where it is to succeed."""
        with self._lock:
            for index, fault in enumerate(self._next):
                if fault.method == method:
                    return self._next.pop(index)
        return None
