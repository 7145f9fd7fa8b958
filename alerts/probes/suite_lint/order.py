"""Whether something else than the behaviour tells the matching completions from the others."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

from alerts.probes.duplicates import normalised
from alerts.probes.suite import Suite, Variant
from alerts.probes.suite_lint.finding import Finding

FEWEST = 8
"""Items or variants below which nothing is called always."""
ALWAYS = 0.8
"""Share from which on something is called always."""
LONGER = 1.15
"""How many times as long as the others, all in all, completions are that count as longer."""
_LABEL = re.compile(r"\(([A-Z])\)|^[ \t]*([A-Z])[.)](?=\s)", re.MULTILINE)
_LETTER = re.compile(r"\s*(?:\(([A-Z])\)|([A-Z])(?:[.)]|\s*$))")


def lengths(suite: Suite) -> Iterator[Finding]:
    """Matching completions that are always the longer or always the shorter ones."""
    found = imbalance(
        [
            (
                fmean(fmean(map(len, variant.matching)) for variant in item.variants),
                fmean(fmean(map(len, variant.not_matching)) for variant in item.variants),
            )
            for item in suite.items
        ]
    )
    if found is not None:
        yield Finding(
            code="length-bias",
            field="items.*.variants.*.matching",
            said=f"the matching completions are {found.times:.2f} times as long as the others, and "
            f"{found.word('longer', 'shorter')} in {found.share:.0%} of the items that differ",
            remedy="write both kinds equally long, or let each kind be the longer one as often: "
            "a model that now writes at more or less length would seem to show the behaviour",
        )


class Imbalance(NamedTuple):
    """That the matching completions are nearly always the longer or the shorter ones."""

    times: float
    """How many times as long as the others they are, all in all."""
    share: float
    """Of the items that differ, how many do so in this direction."""

    def word(self, longer: str, shorter: str) -> str:
        """The one of the two words that fits."""
        return longer if self.times > 1 else shorter


def imbalance(sizes: Sequence[tuple[float, float]]) -> Imbalance | None:
    """What the mean sizes of matching and other completions show, a pair per item.

    None where too few items differ, the direction changes, or the difference is small.
    """
    unequal = [matching - others for matching, others in sizes if matching != others]
    times = sum(matching for matching, _ in sizes) / sum(others for _, others in sizes)
    if len(unequal) < FEWEST or 1 / LONGER < times < LONGER:
        return None
    share = sum((difference > 0) == (times > 1) for difference in unequal) / len(unequal)
    return Imbalance(times, share) if share >= ALWAYS else None


def first_words(suite: Suite) -> Iterator[Finding]:
    """Kinds of completions that begin differently, so that the first word decides."""
    probes = [variant for item in suite.items for variant in item.variants]
    matching = Counter(_first_word(text) for v in probes for text in v.matching)
    others = Counter(_first_word(text) for v in probes for text in v.not_matching)
    if suite.role == "control" or len(probes) < FEWEST:
        return
    if (matching & others).total() < matching.total() / 2:
        yield Finding(
            code="first-word",
            field="items.*.variants.*.matching",
            said=f"only {(matching & others).total()} of {matching.total()} matching completions "
            "begin with a word with which one of the others begins",
            remedy="let pairs part later than at the first word, or swap the first words in other "
            "items: a model that begins its answers differently has not changed its behaviour",
        )


def positions(suite: Suite) -> Iterator[Finding]:
    """Options of which the same one always matches, or which are shown in one order only."""
    by_item = {
        item.id: [p for p in map(_position, item.variants) if p is not None] for item in suite.items
    }
    found = Counter(position for all_of_item in by_item.values() for position in all_of_item)
    if found.total() >= FEWEST:
        position, n = found.most_common(1)[0]
        if n >= ALWAYS * found.total():
            yield Finding(
                code="option-position",
                field="items.*.variants.*.matching",
                said=f"option {position + 1} of those in the prompt is the matching one in {n} of "
                f"{found.total()} variants",
                remedy="show the options in both orders: a model that now prefers one place "
                "would seem to show the behaviour",
            )
    one_order = [id for id, places in by_item.items() if len(set(places)) == 1]
    if one_order:
        yield Finding(
            code="one-order",
            field="items.*.variants",
            items=tuple(one_order),
            said=f"{len(one_order)} of {sum(map(bool, by_item.values()))} items with options show "
            "them in one order only",
            remedy="give each a second variant with the options swapped, so that a preference for "
            "a place or letter cancels",
        )


def _first_word(text: str) -> str:
    return normalised(text).split()[0]


def _position(variant: Variant) -> int | None:
    """Which of the options in the last message matches, from 0; None without options.

    Options are known by their letters, or by both kinds of answers standing in the message.
    """
    asked = variant.messages[-1].content
    labels = list(dict.fromkeys(a or b for a, b in _LABEL.findall(asked)))
    letter = _letter(variant.matching)
    if len(labels) > 1 and letter in labels:
        return labels.index(letter)
    text = f" {normalised(asked)} "
    places = [
        [at for at in (text.find(f" {normalised(answer)} ") for answer in kind) if at >= 0]
        for kind in (variant.matching, variant.not_matching)
    ]
    if not all(places):
        return None
    return sum(other < min(places[0]) for other in places[1])


def _letter(completions: Sequence[str]) -> str | None:
    for text in completions:
        if found := _LETTER.match(text):
            return found[1] or found[2]
    return None
