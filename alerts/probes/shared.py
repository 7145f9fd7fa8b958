"""Items that share a completion: what is learned of its words on one of them holds for the others.

Case, punctuation and white space do not tell two completions apart.
"""

from collections import defaultdict
from collections.abc import Sequence

from alerts.probes.duplicates import normalised
from alerts.probes.suite import Item


def tying(item: Item) -> dict[str, str]:
    """The completions by which an item is tied to others that have them, too: words to text.

    What matches in one variant and does not in another, as the letter of an option does when both
    orders are shown, ties nothing: its likelihood cancels, so no shift can be made of it.
    """
    matching = {normalised(text): text for v in item.variants for text in v.matching}
    others = {normalised(text): text for v in item.variants for text in v.not_matching}
    cancel = matching.keys() & others.keys()
    return {words: text for words, text in (matching | others).items() if words not in cancel}


def tied(items: Sequence[Item]) -> list[list[Item]]:
    """The items in groups of which no two share a completion, each as small as it can be: who
    shares with one of a group is in it. Groups and their items stand in the order of ``items``."""
    before = list(range(len(items)))
    """Of each item one with which it is tied, or itself; following them ends at the first one."""

    def first(number: int) -> int:
        while before[number] != number:
            before[number] = before[before[number]]  # else a long chain is walked again and again
            number = before[number]
        return number

    seen: dict[str, int] = {}
    for number, item in enumerate(items):
        for words in tying(item):
            one, other = sorted((first(number), first(seen.setdefault(words, number))))
            before[other] = one
    groups: dict[int, list[Item]] = defaultdict(list)
    for number, item in enumerate(items):
        groups[first(number)].append(item)
    return list(groups.values())
