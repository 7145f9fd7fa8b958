"""Training by several processes at once, each with its part of every batch (`torch.distributed`).

Together they take the step that one process would take with the whole batch. BatchTopK chooses over
the whole batch, so they agree on its threshold: if each chose by itself, they would train another
model. Losses are means over rows and parts are equal, so gradients are averaged. In a process that
belongs to no group every function leaves things as they are.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor


def count() -> int:
    """Processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this is the one that saves and tells."""
    return not dist.is_initialized() or dist.get_rank() == 0


def own_part(index_B: Tensor) -> Tensor:
    """This process's part of a batch. Raises ValueError where the parts are not equal."""
    if len(index_B) % count():
        raise ValueError(
            f"dfc.batch: {len(index_B)} tokens can't be divided among {count()} processes that "
            "train together; choose a multiple"
        )
    return index_B[dist.get_rank() :: count()] if dist.is_initialized() else index_B


def among_largest(score_N: Tensor, wanted: int) -> Tensor:
    """Scores of all processes, of equal number of each, that hold their `wanted` largest positive
    ones. `wanted` is the same in all of them; how many scores each has is not."""
    if count() == 1:
        return score_N
    largest_W = score_N.new_zeros(wanted)
    found = score_N if len(score_N) <= wanted else score_N.topk(wanted, sorted=False).values
    largest_W[: len(found)] = found
    everybody = [torch.empty_like(largest_W) for _ in range(count())]
    dist.all_gather(everybody, largest_W)
    return torch.cat(everybody)


def highest(x: Tensor) -> Tensor:
    """The largest that any process has of each entry."""
    if count() > 1:
        x = x.clone()
        dist.all_reduce(x, dist.ReduceOp.MAX)
    return x


def summed(x: Tensor) -> Tensor:
    """Over all processes, entry by entry."""
    if count() > 1:
        x = x.clone()
        dist.all_reduce(x)
    return x


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Those of the whole batch's mean loss. All processes have gradients of the same parameters."""
    if count() > 1:
        for parameter in parameters:
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= count()
