"""Texts on which a feature is silent."""

import torch

from dfc.engines.engine import Activations
from dfc.screening.silent_texts import WINDOW, silent_texts

FIRST = 7
"""Of every document, and never harvested."""


def harvested(*documents: list[int]) -> tuple[Activations, list[list[int]]]:
    activations = Activations(
        torch.zeros(0),
        torch.tensor([n for n, tokens in enumerate(documents) for _ in tokens]),
        torch.tensor([p for tokens in documents for p in range(1, len(tokens) + 1)]),
        torch.tensor([token for tokens in documents for token in tokens]),
    )
    return activations, [[FIRST, *tokens] for tokens in documents]


def test_the_nearest_are_those_that_share_tokens() -> None:
    alike = [*range(100, 100 + WINDOW - 3), 1, 2, 3]
    unlike = [list(range(n, n + WINDOW)) for n in range(1000, 1500, 100)]
    acts, documents = harvested(*unlike, alike, alike)
    found = silent_texts(
        torch.zeros(len(acts.token_T)), acts, documents, [list(range(100, 133))], 1
    )
    assert found.near == [tuple(alike)]  # once, though it stands there twice
    assert len(found.random) == 1 and list(found.random[0]) in unlike
    again = silent_texts(
        torch.zeros(len(acts.token_T)), acts, documents, [list(range(100, 133))], 1
    )
    assert again == found


def test_one_activation_or_a_short_rest_excludes_a_window() -> None:
    acts, documents = harvested(list(range(2 * WINDOW + 5)))
    f_T = torch.zeros(len(acts.token_T))
    f_T[WINDOW] = 0.1
    found = silent_texts(f_T, acts, documents, [[0]], 5)
    assert found.near == [tuple(range(WINDOW))] and found.random == []


def test_a_feature_that_fires_everywhere_has_none() -> None:
    acts, documents = harvested(list(range(WINDOW)))
    assert silent_texts(torch.ones(WINDOW), acts, documents, [[0]], 5) == ([], [])


def test_tokens_that_no_line_stands_for_are_part_of_the_text() -> None:
    acts, documents = harvested(list(range(2 * WINDOW)))
    kept = torch.arange(0, 2 * WINDOW, 2)
    part = Activations(acts.x_TD, *(one[kept] for one in acts[1:]))
    found = silent_texts(torch.zeros(WINDOW), part, documents, [[0]], 5)
    assert found.near == [tuple(range(2 * WINDOW - 1))]
