"""What one request asks of the hooks, as plain data that travels with its sampling settings."""

from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple

KEY = "latentwatch"
"""Under which a plan lies in the extra arguments of a request."""
DRAWS = "latentwatch_draws"


class Plan(NamedTuple):
    """What happens to the residual stream of one row."""

    row: int
    """Number of the row; unique among the requests that run together."""
    length: int
    """Positions, from the first on, that are recorded or patched."""
    edits: tuple[tuple[int, float, float], ...] = ()
    """(row of the loaded bank, gain, offset times unit); at every position but the first."""
    records: tuple[int, ...] = ()
    """Layers whose states are kept."""
    patch: int | None = None
    """Layer whose states are replaced by those loaded for the row."""

    def arguments(self) -> dict[str, Any]:
        """Numbers in lists: nothing that needs more than JSON."""
        return {
            KEY: {
                "row": self.row,
                "length": self.length,
                "edits": [list(edit) for edit in self.edits],
                "records": list(self.records),
                "patch": self.patch,
            }
        }

    @classmethod
    def of(cls, arguments: dict[str, Any] | None) -> "Plan | None":
        """The plan in a request's extra arguments; None for a request that has none."""
        held = (arguments or {}).get(KEY)
        if held is None:
            return None
        return cls(
            int(held["row"]),
            int(held["length"]),
            tuple((int(k), float(gain), float(constant)) for k, gain, constant in held["edits"]),
            tuple(int(layer) for layer in held["records"]),
            None if held["patch"] is None else int(held["patch"]),
        )


class Draws(NamedTuple):
    """How a row is sampled; rows without draws are written greedily."""

    temperature: float
    seed: int
    row: int
    """Number of the row in the whole call: its draws do not depend on its batch."""
    size: int
    """Tokens that can be written: what pads the embeddings beyond them is no text."""

    def possible(self) -> bool:
        """Whether a row can be drawn so."""
        numbers = min(self.seed, self.row) >= 0 and self.size > 0
        return numbers and 0.0 < self.temperature < inf

    def arguments(self) -> dict[str, Any]:
        return {DRAWS: list(self)}

    @classmethod
    def of(cls, arguments: dict[str, Any] | None) -> "Draws | None":
        """The draws in a request's extra arguments; None for a request that has none."""
        held = (arguments or {}).get(DRAWS)
        return None if held is None else cls(*held)


class Segment(NamedTuple):
    """Consecutive tokens of one row in the flat batch of one step."""

    plan: Plan | None
    start: int
    stop: int
    position: int
    """Absolute position of the first of them: a long prompt comes in several steps, and a row that
    was interrupted starts over."""

    def editable(self) -> range:
        """Lines of the batch that an edit may touch: all but the row's first position."""
        return range(self.start + max(0, 1 - self.position), self.stop)

    def within_length(self) -> tuple[slice, slice]:
        """Lines of the batch that are recorded or patched, and their positions."""
        assert self.plan is not None
        count = max(0, min(self.stop - self.start, self.plan.length - self.position))
        return (
            slice(self.start, self.start + count),
            slice(self.position, self.position + count),
        )


class Step(NamedTuple):
    """One forward pass over several rows."""

    segments: tuple[Segment, ...] = ()

    def recording(self, layer: int) -> list[Segment]:
        return [s for s in self.segments if s.plan is not None and layer in s.plan.records]

    def patching(self, layer: int) -> list[Segment]:
        return [s for s in self.segments if s.plan is not None and s.plan.patch == layer]

    def editing(self) -> list[Segment]:
        return [s for s in self.segments if s.plan is not None and s.plan.edits]


def step_of(plans: Sequence[Plan | None], starts: Sequence[int], positions: Sequence[int]) -> Step:
    """The step over rows with these plans. ``starts`` has one entry more than there are rows: row r
    has the lines from starts[r] to starts[r + 1], the first of them at positions[r]."""
    return Step(
        tuple(
            Segment(plan, int(starts[r]), int(starts[r + 1]), int(positions[r]))
            for r, plan in enumerate(plans)
        )
    )
