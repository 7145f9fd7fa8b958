"""How far the running step of a stage is."""

import json
from typing import NamedTuple, Self


class Step(NamedTuple):
    """`done` of `total` units of `what` are done; `began_at` is in seconds since the epoch."""

    what: str
    done: int
    total: int
    began_at: float

    def to_json(self) -> str:
        return json.dumps(self)

    @classmethod
    def of_json(cls, text: str) -> Self:
        return cls(*json.loads(text))

    def seconds_left(self, now: float) -> float | None:
        """Until the step is done at the speed so far; None before its first unit is done."""
        if self.done < 1:
            return None
        return max(0.0, now - self.began_at) / self.done * (self.total - self.done)
