"""Which words two models use differently on the same prompts, with a permutation null.

Log-odds with an informative Dirichlet prior: Monroe, Colaresi and Quinn, "Fightin' Words",
Political Analysis 16 (2008), equations 15, 16 and 22. A term counts once per answer, so that a
model which repeats itself does not make a word look common.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]

PRIOR = 0.1
"""Strength of the prior, as a part of all terms counted: the pooled answers are the prior."""
LEAST_ANSWERS = 5
"""Terms in fewer answers are left out: nothing can be said of them."""
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*|[.!?]")


class Contrast(NamedTuple):
    """Terms and their z; those that the candidate uses more come first, with a positive z."""

    terms: list[str]
    z: list[float]
    p: float
    """How often models that exchange answers at random have a term with as large a z."""
    null_p95: float
    """95th percentile of that largest z."""


def terms_of(answer: str) -> set[str]:
    """Words and pairs of words; "^" stands before the first word."""
    words = ["^", *(match.group().lower() for match in _WORD.finditer(answer))]
    return {*words[1:], *(f"{a} {b}" for a, b in pairwise(words))}


def contrast(
    base: Sequence[str], candidate: Sequence[str], permutations: int = 200, seed: int = 0
) -> Contrast:
    """Compare answers to the same prompts, pair by pair.

    Under the null hypothesis the two answers to a prompt are exchangeable. Raises ValueError when
    the two lists do not belong to the same prompts.
    """
    if len(base) != len(candidate):
        raise ValueError(f"{len(base)} and {len(candidate)} answers are not to the same prompts")
    vocabulary, used = _counted([*base, *candidate])
    if not vocabulary:
        return Contrast([], [], 1.0, 0.0)
    n = len(base)
    total_V = np.asarray(used.sum(0), dtype=np.float64).ravel()
    difference = used[n:] - used[:n]
    signs_RN = np.random.default_rng(seed).choice((-1.0, 1.0), size=(permutations, n))
    signs_RN = np.concatenate([np.ones((1, n)), signs_RN])
    gained_RV = signs_RN @ difference
    z_RV = _z((total_V - gained_RV) / 2, (total_V + gained_RV) / 2)
    largest_R = z_RV.max(1)
    order = z_RV[0].argsort()[::-1]
    return Contrast(
        [vocabulary[term] for term in order],
        [float(z_RV[0, term]) for term in order],
        float((largest_R >= largest_R[0] - 1e-9).mean()),
        float(np.percentile(largest_R[1:], 95)),
    )


def _z(base_RV: Floats, candidate_RV: Floats) -> Floats:
    """z-scores [R, V] of the log-odds ratio under the prior that the pooled counts give."""
    prior_V = PRIOR * (base_RV + candidate_RV)
    ends = []
    for count_RV in (base_RV + prior_V, candidate_RV + prior_V):
        ends.append(np.log(count_RV) - np.log(count_RV.sum(1, keepdims=True) - count_RV))
    variance_RV = 1 / (base_RV + prior_V) + 1 / (candidate_RV + prior_V)
    return np.asarray((ends[1] - ends[0]) / np.sqrt(variance_RV), dtype=np.float64)


def _counted(answers: Sequence[str]) -> tuple[list[str], sparse.csr_array]:
    """The terms of at least so many answers, and which answer uses which [answers, terms]."""
    terms = [terms_of(answer) for answer in answers]
    counts: dict[str, int] = {}
    for found in terms:
        for term in found:
            counts[term] = counts.get(term, 0) + 1
    vocabulary = sorted(term for term, n in counts.items() if n >= LEAST_ANSWERS)
    column = {term: number for number, term in enumerate(vocabulary)}
    cells = [(row, column[t]) for row, found in enumerate(terms) for t in found if t in column]
    rows, columns = zip(*cells, strict=True) if cells else ((), ())
    used = sparse.csr_array(
        (np.ones(len(cells)), (rows, columns)), shape=(len(answers), len(vocabulary))
    )
    return vocabulary, used
