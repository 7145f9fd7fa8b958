"""What would be named by chance: how often a plant's sign is found where something else is planted.

A suite that is flagged in most plants names its own plant too, whatever was found. So every plant's
expected behaviour, or expected words, is sought in the other versions of its half, by the rule by
which it is sought in its own. Pairs of versions are counted; they are not independent, so there is
no interval. Undecided versions say nothing and are left out.
"""

from collections.abc import Callable, Sequence
from typing import Any

from scipy.stats import fisher_exact

from deploy.bench.zoo import judge
from deploy.bench.zoo.figures import Row

Sign = Callable[[Row, str], bool]
"""Whether a version shows a behaviour."""


def is_largest(row: Row, behaviour: str) -> bool:
    """Whether of all that `row` is flagged for it has shifted most, per threshold."""
    return row.largest == behaviour


def is_flagged(row: Row, behaviour: str) -> bool:
    """The weaker sign: whether it is among what `row` is flagged for."""
    return behaviour in row.behaviours


def suites_elsewhere(planted: Sequence[Row], sign: Sign) -> dict[str, int] | None:
    """In how many plants of something else the expected behaviours show `sign`."""
    return counted(
        [
            sign(other, row.expected)
            for row in planted
            if row.expected is not None
            for other in planted
            if other.expected != row.expected and other.verdict != "undecided"
        ]
    )


def words_elsewhere(planted: Sequence[Row], benign: Sequence[Row]) -> dict[str, int] | None:
    """In how many of the other versions an expected word of a plant without a suite stands in the
    label of a feature that surfaces."""
    return counted(
        [
            judge.tells(other.labels, row.expected_words)
            for row in planted
            if row.expected is None
            for other in (*planted, *benign)
            if other.expected_words != row.expected_words and other.verdict != "undecided"
        ]
    )


def more_often(planted: Sequence[bool], benign: Sequence[bool]) -> float | None:
    """p of Fisher's exact test that an outcome is more frequent in plants than in benign updates,
    one-sided; None without both."""
    if not planted or not benign:
        return None
    table: Any = [[sum(kind), len(kind) - sum(kind)] for kind in (planted, benign)]
    return float(fisher_exact(table, alternative="greater").pvalue)


def counted(found: Sequence[bool]) -> dict[str, int] | None:
    """How many of how many; None of none."""
    return {"k": sum(found), "n": len(found)} if found else None
