"""Batches hold every sequence once, within their token budget."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dfc.engines.batching import pad_left, pad_right, token_budget_batches
from dfc.threads import free_cores, use_threads


@given(st.lists(st.integers(1, 50)), st.integers(1, 200))
def test_batches_partition_and_fit(lengths: list[int], budget: int) -> None:
    batches = token_budget_batches(lengths, budget)
    assert sorted(n for batch in batches for n in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[n] for n in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget
    tops = [max(lengths[n] for n in batch) for batch in batches]
    assert tops == sorted(tops, reverse=True)


def test_padding() -> None:
    assert pad_right([(5, 6, 7), (8,)]).tolist() == [[5, 6, 7], [8, 0, 0]]
    tokens_BT, mask_BT = pad_left([(5, 6, 7), (8,)])
    assert tokens_BT.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert mask_BT.tolist() == [[1, 1, 1], [0, 0, 1]]


def test_threads_are_set_from_free_cores() -> None:
    before = torch.get_num_threads()
    try:
        assert use_threads(2) == torch.get_num_threads() == 2
        assert use_threads() == torch.get_num_threads() >= 1
        assert free_cores(0.05) >= 1
        with pytest.raises(ValueError, match="at least 1"):
            use_threads(0)
    finally:
        torch.set_num_threads(before)
