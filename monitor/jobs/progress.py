"""How far the running step of a stage is."""

import json
from typing import NamedTuple, Self


class Step(NamedTuple):
    """`done` of `total` units of `what` are done; `began_at` is in seconds since the epoch."""

    what: str
    done: int
    total: int
    began_at: float
    began_with: int = 0
    """Units that were done by then, as of a training that goes on."""

    def to_json(self) -> str:
        return json.dumps(self)

    @classmethod
    def of_json(cls, text: str) -> Self:
        return cls(*json.loads(text))

    def per_second(self, now: float) -> float | None:
        """Units per second so far; None before the first one is done."""
        since = now - self.began_at
        done = self.done - self.began_with
        return done / since if done > 0 and since > 0 else None

    def seconds_left(self, now: float) -> float | None:
        """Until the step is done at the speed so far; None before its first unit is done."""
        speed = self.per_second(now)
        return None if speed is None else (self.total - self.done) / speed
