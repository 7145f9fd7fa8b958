"""Batched decoding with a key-value cache and different edits on every row.

Rows are left-padded, so that all of them grow at the same end; positions and mask know where each
row really starts. Finished rows leave the batch.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from dfc.engines.batching import pad_left
from dfc.engines.decoder_stack import DecoderStack
from dfc.engines.live_edits import LiveEdits


def decode_batch(
    stack: DecoderStack,
    prompts: Sequence[tuple[int, ...]],
    max_new_tokens: int,
    n_tokens: int,
    stop: frozenset[int],
    choose: Callable[[Tensor, Sequence[int], int], Tensor],
    edits: LiveEdits | None,
) -> list[tuple[int, ...]]:
    """New tokens of every prompt, up to and without the first stop token.

    Only the first ``n_tokens`` ids can be written: what pads the embeddings beyond them is no text,
    and another model may not have it. ``choose`` maps (logits [B, n_tokens], numbers of
    the rows, step) to a token per row.
    """
    device = stack.model.device
    tokens_BT, mask_BT = (t.to(device) for t in pad_left(prompts))
    position_BT = (mask_BT.cumsum(1) - 1).clamp_min(0)
    cache = DynamicCache(config=stack.model.config)
    answers: list[list[int]] = [[] for _ in prompts]
    rows = list(range(len(prompts)))
    for step in range(max_new_tokens):
        real_BT = mask_BT[:, -tokens_BT.shape[1] :]
        with nullcontext() if edits is None else edits.at(position_BT, real_BT):
            x_BTD = stack.decoder(
                tokens_BT,
                attention_mask=mask_BT,
                position_ids=position_BT,
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state
        chosen_B = choose(stack.logits(x_BTD[:, -1])[:, :n_tokens].float(), rows, step)
        chosen = chosen_B.tolist()
        active = [b for b, token in enumerate(chosen) if token not in stop]
        for b in active:
            answers[rows[b]].append(chosen[b])
        if not active:
            break
        if len(active) < len(rows):
            keep = torch.tensor(active, device=device)
            cache.batch_select_indices(keep)
            if edits is not None:
                edits.keep(keep)
            mask_BT, position_BT, chosen_B = mask_BT[keep], position_BT[keep], chosen_B[keep]
            rows = [rows[b] for b in active]
        tokens_BT = chosen_B[:, None]
        mask_BT = torch.cat([mask_BT, torch.ones_like(tokens_BT)], dim=1)
        position_BT = position_BT[:, -1:] + 1
    return [tuple(answer) for answer in answers]


def greedy(logits_BV: Tensor, rows: Sequence[int], step: int) -> Tensor:
    """The likeliest token of every row."""
    return logits_BV.argmax(1)


def sampler(
    temperature: float, seed: int, numbers: Sequence[int], max_new_tokens: int
) -> Callable[[Tensor, Sequence[int], int], Tensor]:
    """Sampling with a random stream per row, keyed by the seed and the row's number in the whole
    call, so that a row's sample does not depend on its batch."""
    streams = [
        torch.from_numpy(np.random.default_rng([seed, number]).random(max_new_tokens, np.float32))
        for number in numbers
    ]
    uniform_BS = torch.stack(streams)

    def choose(logits_BV: Tensor, rows: Sequence[int], step: int) -> Tensor:
        cumulative_BV = torch.softmax(logits_BV / temperature, dim=1).cumsum(1)
        draw_B1 = uniform_BS[list(rows), step][:, None].to(logits_BV.device) * cumulative_BV[:, -1:]
        index_B = torch.searchsorted(cumulative_BV, draw_B1, right=True)[:, 0]
        return index_B.clamp_max(logits_BV.shape[1] - 1)

    return choose
