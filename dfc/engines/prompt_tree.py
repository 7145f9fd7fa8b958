"""Rows that share a prompt, packed into one sequence: the prompt once, then every completion.

Attention lets a completion see its prompt and itself, and positions restart after the prompt, so
every token gets exactly the state that it would have had in a row of its own. Scoring four
completions of one prompt costs the prompt once instead of four times.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.engines.batching import pad_right, token_budget_batches
from dfc.engines.engine import ScoreRow

MAX_TREE_TOKENS = 512
"""Where a tree is closed: attention grows with its square, and a tree is padded to its batch."""

_PADDING = -1


class TreeBatch(NamedTuple):
    """Trees of one batch, right-padded, and where the log-probabilities of their rows are read."""

    tokens_BT: Tensor
    position_BT: Tensor
    branch_BT: Tensor
    """0 on the prompt, 1, 2, ... on its completions, -1 on padding."""
    rows: tuple[tuple[int, ...], ...]
    """For every tree the numbers of its rows."""
    read_P: Tensor
    """Flat position (b * T + t) of the state that predicts completion token P."""
    target_P: Tensor
    row_P: Tensor

    def inputs(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """What a decoder needs beside the tokens: restarted positions and an additive mask
        [B, 1, T, T], causal and blind between the completions of a prompt. Nothing for plain rows,
        which the model then masks itself."""
        if all(len(tree) == 1 for tree in self.rows):
            return {}
        branch_BT = self.branch_BT
        width = branch_BT.shape[1]
        causal_TT = torch.ones(width, width, dtype=torch.bool, device=branch_BT.device).tril()
        seen_BTT = (branch_BT[:, None, :] == 0) | (branch_BT[:, None, :] == branch_BT[:, :, None])
        mask_BTT = torch.zeros(seen_BTT.shape, dtype=dtype, device=branch_BT.device)
        mask_BTT.masked_fill_(~(seen_BTT & causal_TT), torch.finfo(dtype).min)
        return {"attention_mask": mask_BTT[:, None], "position_ids": self.position_BT}

    def editable(self) -> Tensor:
        """Mask [B, T] of the positions that an edit may touch: real tokens other than the first."""
        return (self.branch_BT != _PADDING) & (self.position_BT > 0)

    def to(self, device: torch.device) -> "TreeBatch":
        return self._replace(
            tokens_BT=self.tokens_BT.to(device),
            position_BT=self.position_BT.to(device),
            branch_BT=self.branch_BT.to(device),
            read_P=self.read_P.to(device),
            target_P=self.target_P.to(device),
            row_P=self.row_P.to(device),
        )


def tree_batches(
    rows: Sequence[ScoreRow],
    budget: int,
    *,
    groups: Sequence[Hashable] | None = None,
    window: int | None = None,
) -> list[TreeBatch]:
    """Pack ``rows`` into batches of at most ``budget`` tokens.

    Only rows of equal group share a tree: rows that are steered differently have different prompts.
    Rows longer than ``window``, the reach of the model's local attention, stay alone, because the
    mask of a tree knows no window. Trees of one row are batched apart from the others.
    """
    trees = _trees(rows, groups or [None] * len(rows), window)
    batches = []
    for kind in ([t for t in trees if len(t) > 1], [t for t in trees if len(t) == 1]):
        for batch in token_budget_batches([_length(rows, tree) for tree in kind], budget):
            batches.append(_pack(rows, [kind[i] for i in batch]))
    return batches


def _trees(
    rows: Sequence[ScoreRow], groups: Sequence[Hashable], window: int | None
) -> list[list[int]]:
    trees: list[list[int]] = []
    open_trees: dict[Hashable, list[int]] = {}
    for number, row in enumerate(rows):
        alone = window is not None and len(row.prompt) + len(row.completion) > window
        key = number if alone else (row.prompt, groups[number])
        tree = open_trees.get(key)
        if tree is None or _length(rows, [*tree, number]) > MAX_TREE_TOKENS:
            tree = open_trees[key] = []
            trees.append(tree)
        tree.append(number)
    return trees


def _length(rows: Sequence[ScoreRow], tree: Sequence[int]) -> int:
    # Nothing is predicted from the last token of a completion, so it is never fed.
    return len(rows[tree[0]].prompt) + sum(len(rows[n].completion) - 1 for n in tree)


def _pack(rows: Sequence[ScoreRow], trees: Sequence[Sequence[int]]) -> TreeBatch:
    width = max(_length(rows, tree) for tree in trees)
    tokens, positions, branches = [], [], []
    reads: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for b, tree in enumerate(trees):
        prompt = rows[tree[0]].prompt
        token, position, branch = list(prompt), list(range(len(prompt))), [0] * len(prompt)
        for k, number in enumerate(tree, start=1):
            completion = rows[number].completion
            fed = len(completion) - 1
            reads += [b * width + len(prompt) - 1]
            reads += range(b * width + len(token), b * width + len(token) + fed)
            targets += completion
            owners += [number] * len(completion)
            token += completion[:-1]
            position += range(len(prompt), len(prompt) + fed)
            branch += [k] * fed
        tokens.append(token)
        positions.append(position)
        branches.append(branch)
    return TreeBatch(
        pad_right(tokens),
        pad_right(positions),
        pad_right(branches, _PADDING),
        tuple(tuple(tree) for tree in trees),
        torch.tensor(reads),
        torch.tensor(targets),
        torch.tensor(owners),
    )
