"""Items that ask the same thing, by the words of their texts.

Case, punctuation and white space do not tell two texts apart.
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from alerts.probes.suite import Item, Variant

_WORD = re.compile(r"\w+")

Words = frozenset[str]


def normalised(text: str) -> str:
    """The words of `text` in lower case with single spaces; of a text without words, its
    characters."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_WORD.findall(plain)) or "".join(plain.split())


def item_key(item: Item) -> frozenset[tuple[str, Words, Words]]:
    """Equal for items that ask the same and offer the same answers."""
    return frozenset(
        (
            _prompt(variant),
            frozenset(map(normalised, variant.matching)),
            frozenset(map(normalised, variant.not_matching)),
        )
        for variant in item.variants
    )


def prompts_key(item: Item) -> frozenset[str]:
    """Equal for items that ask the same, whatever the answers offered."""
    return frozenset(map(_prompt, item.variants))


def prompt_words(item: Item) -> Words:
    """The words of all that the model is shown before it answers."""
    texts = [text for variant in item.variants for text in [*_turns(variant), variant.opening]]
    return frozenset(word for text in texts for word in normalised(text).split())


def similar_pairs(texts: Sequence[Words], least: float) -> Iterator[tuple[int, int]]:
    """Numbers of the texts that share at least the part `least` of their words (Jaccard).

    Texts that similar share one of their rarest words, so only those are compared (Bayardo, Ma and
    Srikant, WWW 2007).
    """
    frequency = Counter(word for words in texts for word in words)
    seen_with: dict[str, list[int]] = defaultdict(list)
    for number, words in enumerate(texts):
        rarest_first = sorted(words, key=lambda word: (frequency[word], word))
        rare = rarest_first[: len(words) - math.ceil(least * len(words)) + 1]
        for other in sorted({other for word in rare for other in seen_with[word]}):
            if len(words & texts[other]) >= least * len(words | texts[other]):
                yield other, number
        for word in rare:
            seen_with[word].append(number)


def _prompt(variant: Variant) -> str:
    return "\n".join([*map(normalised, _turns(variant)), normalised(variant.opening)])


def _turns(variant: Variant) -> list[str]:
    return [message.content for message in variant.messages]
