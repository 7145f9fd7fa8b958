"""The seam to a running vLLM: rows that run together with all that the hooks need for them.

A batch is whole: nothing that it needs is left behind in a worker by an earlier call, so that a
server can run the batches of several clients one after the other.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from dfc.engines.engine import Progress
from dfc.errors import InputError, ParityError
from dfc.vllm.plans import Draws, Plan
from dfc.vllm.wire import Packed, from_bytes


class Request(NamedTuple):
    """One row: tokens in, and how to go on from them."""

    tokens: tuple[int, ...]
    plan: Plan
    max_new_tokens: int = 1
    draws: Draws | None = None
    """None for greedy writing."""
    stop: tuple[int, ...] = ()
    writable: int | None = None
    """How many tokens, from the first on, may be written; None for all."""
    scored: bool = False
    """Log-probabilities of the row's own tokens are wanted."""
    salt: str | None = None


class Bank(NamedTuple):
    """The features that plans name by number (``dfc.vllm.edit_table.PackedBank``)."""

    layer: int
    parts: tuple[Packed, ...]


class Batch(NamedTuple):
    """Rows that run together."""

    requests: tuple[Request, ...]
    bank: Bank | None = None
    states: tuple[tuple[int, Packed], ...] = ()
    """By row, what its plan puts in place of the model's own."""

    def check(self, d_model: int) -> None:
        """Raises InputError where a plan needs what the batch does not bring. In the middle of a
        step that would end vLLM for everybody."""
        shapes = [part.shape for part in self.bank.parts] if self.bank else []
        n = shapes[1][0] if len(shapes) == 4 and len(shapes[1]) == 1 else 0
        if self.bank and shapes != [(n, d_model), (n,), (n,), (n, d_model)]:
            raise InputError(f"the bank's parts have the shapes {shapes}; width is {d_model}")
        loaded = {row: packed.shape for row, packed in self.states}
        for plan, draws in ((request.plan, request.draws) for request in self.requests):
            if draws is not None and not draws.possible():
                raise InputError(f"row {plan.row} can't be drawn with {draws}")
            if not all(0 <= feature < n for feature, _, _ in plan.edits):
                raise InputError(f"row {plan.row} edits a feature outside the bank of {n}")
            shape = loaded.get(plan.row, ())
            fits = len(shape) == 2 and shape[0] >= plan.length and shape[1] == d_model
            if plan.patch is not None and not fits:
                raise InputError(
                    f"row {plan.row} patches {plan.length} positions of width {d_model}, and the "
                    f"batch brings states of the shape {shape}"
                )


class Answer(NamedTuple):
    """What became of one row."""

    tokens: tuple[int, ...]
    """Written tokens, with the one that ended them."""
    written: tuple[float, ...]
    """Log-probability of each written token, in nats."""
    scored: tuple[float, ...]
    """Of each of the row's own tokens but the first; empty unless asked for."""
    cached: int = 0
    """Tokens whose keys and values were taken from another row."""


class Outcome(NamedTuple):
    """What became of a batch."""

    answers: tuple[Answer, ...]
    """In the order of the requests."""
    reached: tuple[tuple[int, int], ...] = ()
    """By row, how many positions its edits have reached."""
    recorded: tuple[tuple[int, int, Packed], ...] = ()
    """States by row and layer."""

    def states(self, plans: Sequence[Plan]) -> dict[tuple[int, int], Tensor]:
        """States by (row, layer).

        Raises ParityError when some that ``plans`` ask for are missing.
        """
        found = {(row, layer): from_bytes(*packed) for row, layer, packed in self.recorded}
        missing = {(plan.row, layer) for plan in plans for layer in plan.records} - set(found)
        if missing:
            row, layer = min(missing)
            raise ParityError(
                f"row {row} did not pass the hook on layer {layer}; vLLM ran without its hooks"
            )
        return found


class Facts(NamedTuple):
    """What a running vLLM says of its model."""

    runner: str
    architecture: str
    n_layers: int
    d_model: int
    vocabulary: int
    dtype: str
    context: int
    """Longest row in tokens, the one that is written included."""

    @classmethod
    def of(cls, told: Mapping[str, object]) -> "Facts":
        return cls(**{name: told[name] for name in cls._fields})  # type: ignore[arg-type]


class Runtime(Protocol):
    """vLLM with one model, in this host's processes or behind a server. Raises ModelError whenever
    it can't do what it is asked."""

    def facts(self) -> Facts: ...

    def run(self, batch: Batch, progress: Progress | None = None) -> Outcome:
        """Run all rows together."""
        ...

    def unembed(self, x_ND: Tensor) -> Tensor:
        """Logits [N, vocabulary], float32, of states after the last block."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...
