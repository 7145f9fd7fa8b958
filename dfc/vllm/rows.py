"""Runs rows in vLLM and proves of each that its edits and its states were not left out."""

import hashlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dfc.engines.engine import Edit, FeatureBank, Progress
from dfc.engines.steering import count_steered
from dfc.errors import ModelError, SteeringError
from dfc.vllm.batch import Answer, Batch, Request, Runtime
from dfc.vllm.edit_table import PackedBank
from dfc.vllm.plans import Plan
from dfc.vllm.salt import cache_salt
from dfc.vllm.wire import to_bytes

RECORDED_AT_ONCE = 32_768
"""Positions whose states the worker keeps before they are fetched: 256 MB at a width of 4,096 in 16
bits."""


def run_steered(
    runtime: Runtime,
    requests: Sequence[Request],
    bank: FeatureBank | None,
    edits: Sequence[Sequence[Edit]],
    progress: Progress | None = None,
    loaded: Sequence[Tensor] = (),
) -> Sequence[Answer]:
    """Run rows with the edits of each; ``loaded`` are the states that plans put in place of the
    model's own, one per row.

    Raises SteeringError when an edit can touch nothing, or did not reach every position.
    """
    digest, shipped = "", None
    if bank is not None and any(edits):
        # An edit that can touch nothing is refused before anything runs.
        count_steered(edits, [len(request.tokens) - 1 for request in requests])
        packed = PackedBank(bank, edits)
        shipped = packed.packed
        raw = [str(bank.layer).encode(), *(part.raw for part in shipped.parts)]
        digest = hashlib.sha256(b"".join(raw)).hexdigest()
        requests = [
            request._replace(plan=request.plan._replace(edits=packed.edits(row)))
            for request, row in zip(requests, edits, strict=True)
        ]
    requests = [r._replace(salt=cache_salt(r.plan, digest)) for r in requests]
    states = tuple((number, to_bytes(x_TD)) for number, x_TD in enumerate(loaded))
    ran = runtime.run(Batch(tuple(requests), shipped, states), progress)
    reached = dict(ran.reached)
    for number, (request, answer) in enumerate(zip(requests, ran.answers, strict=True)):
        expected = len(request.tokens) + len(answer.tokens) - 2
        if request.plan.edits and reached.get(number, 0) < expected:
            raise SteeringError(
                f"the edits of row {number} reached {reached.get(number, 0)} of {expected} "
                "positions; vLLM ran the model without its hooks"
            )
    return ran.answers


def recorded(
    runtime: Runtime,
    rows: Sequence[tuple[int, ...]],
    wanted: Sequence[tuple[int, ...]],
    layer: int,
) -> Iterator[Tensor]:
    """States after block ``layer`` over the beginning ``wanted`` of every row, in order.

    Raises ParityError when a position is missing, and ModelError for states that are no numbers.
    """
    for group in _groups([len(row) for row in rows], RECORDED_AT_ONCE):
        requests = []
        for number in group:
            plan = Plan(number, len(wanted[number]), records=(layer,))
            requests.append(Request(rows[number], plan, salt=cache_salt(plan, "")))
        ran = runtime.run(Batch(tuple(requests)))
        found = ran.states([request.plan for request in requests])
        for number in group:
            if not torch.isfinite(found[number, layer]).all():
                raise ModelError(
                    f"the model's states on row {number} are not finite; its weights are damaged "
                    "or overflow in this dtype"
                )
            yield found[number, layer]


def _groups(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Consecutive numbers whose lengths add up to ``budget`` at most, or single ones beyond it."""
    group: list[int] = []
    for number, length in enumerate(lengths):
        if group and sum(lengths[n] for n in group) + length > budget:
            yield group
            group = []
        group.append(number)
    yield group
