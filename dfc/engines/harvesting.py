"""Assembles states from batches into one table, in the order of the documents."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from dfc.engines.batching import pad_right, token_budget_batches
from dfc.engines.engine import Activations, Progress
from dfc.errors import InputError, ModelError, ParityError


def document_states(
    documents: Sequence[tuple[int, ...]], budget: int, states: Callable[[Tensor], Tensor]
) -> Iterator[tuple[int, Tensor]]:
    """(number, states [tokens, D]) of every document, batch by batch.

    ``states`` maps right-padded token ids [B, T] to states [B, T, D]. Raises ModelError on states
    that are no numbers.
    """
    lengths = [len(document) for document in documents]
    for batch in token_budget_batches(lengths, budget):
        x_BTD = states(pad_right([documents[n] for n in batch]))
        if not torch.isfinite(x_BTD).all():
            raise ModelError(
                f"the model's states on documents {sorted(batch)[:5]} are not finite; its "
                "weights are damaged or overflow in this dtype"
            )
        for b, number in enumerate(batch):
            yield number, x_BTD[b, : lengths[number]]


def gather_activations(
    documents: Sequence[tuple[int, ...]],
    d_model: int,
    states: Iterator[tuple[int, Tensor]],
    progress: Progress | None,
) -> Activations:
    """Every position but the first, as bfloat16 on the CPU."""
    lengths = torch.tensor([len(document) - 1 for document in documents])
    starts = (lengths.cumsum(0) - lengths).tolist()
    total = int(lengths.sum())
    if total == 0:
        raise InputError("no document has a second token, so there is nothing to harvest")
    x_TD = torch.empty(total, d_model, dtype=torch.bfloat16)
    written = 0
    for done, (number, x_D) in enumerate(states, start=1):
        start, length = starts[number], len(documents[number]) - 1
        x_TD[start : start + length] = x_D[1:]
        written += length
        if progress is not None:
            progress(done, len(documents))
    if written != total:
        raise ParityError(f"{written} positions were harvested, {total} were asked for")
    return Activations(
        x_TD,
        torch.repeat_interleave(torch.arange(len(documents)), lengths),
        torch.cat([torch.arange(1, len(document)) for document in documents]),
        torch.tensor([token for document in documents for token in document[1:]]),
    )
