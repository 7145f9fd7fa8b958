"""Whether a model's tokenizer treats matching and other completions alike.

A score is a mean over tokens, so completions in unequal numbers of tokens, and tokens that both
kinds share, change what it measures.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from statistics import fmean
from typing import NamedTuple, Protocol

from alerts.probes.suite import Suite, Variant
from alerts.probes.suite_lint.finding import Finding
from alerts.probes.suite_lint.order import imbalance

UNEQUAL = 1.5
"""From how many times as many tokens on two kinds of completions count as unequal."""

Tokens = tuple[int, ...]


class ChatTokenizer(Protocol):
    """What of a model's tokenizer is needed."""

    def encode_text(self, text: str) -> Tokens: ...

    def render_chat(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool
    ) -> str: ...


class _Read(NamedTuple):
    """One variant as the tokenizer reads it."""

    matching: list[Tokens]
    not_matching: list[Tokens]
    merged: bool
    """A token reaches over the border between prompt and completion when both are one text."""

    @property
    def counts(self) -> tuple[float, float]:
        return fmean(map(len, self.matching)), fmean(map(len, self.not_matching))

    @property
    def shared(self) -> int:
        """Tokens with which all completions begin."""
        columns = zip(*self.matching, *self.not_matching, strict=False)
        return sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, columns))


def tokens(suite: Suite, tokenizer: ChatTokenizer) -> Iterator[Finding]:
    """Completions without tokens, and mismatches of both kinds.

    Raises what `tokenizer` raises for a chat that it refuses.
    """
    read = {item.id: [_read(v, tokenizer) for v in item.variants] for item in suite.items}
    facts = {item.id: [_read(item.knows, tokenizer)] for item in suite.items if item.knows}
    everything = {id: [*variants, *facts.get(id, [])] for id, variants in read.items()}
    if empty := _where(everything, lambda v: not all([*v.matching, *v.not_matching])):
        yield Finding(
            level="error",
            code="no-tokens",
            field="items.*.variants",
            items=empty,
            said=f"{len(empty)} items have a completion without any token for this model",
            remedy="write a different completion",
        )
        return
    unequal = _where(read, lambda v: max(v.counts) >= UNEQUAL * min(v.counts))
    if unequal:
        yield Finding(
            code="token-counts",
            field="items.*.variants",
            items=unequal,
            said=f"in {len(unequal)} items one kind of completions has {UNEQUAL:g} times as many "
            "tokens as the other, or more",
            remedy="use words of like frequency: a rare word is several tokens, most of them "
            "certain once the first is read",
        )
    found = imbalance([_mean_counts(variants) for variants in read.values()])
    if found is not None:
        yield Finding(
            code="token-bias",
            field="items.*.variants",
            said=f"the matching completions have {found.times:.2f} times as many tokens as the "
            f"others, and {found.word('more', 'fewer')} in {found.share:.0%} of the items that "
            "differ",
            remedy="let each kind have more tokens as often as the other",
        )
    # Of facts only the sign of the score counts, which no shared token changes.
    scored = read if suite.role == "behaviour" else {}
    shared = _where(scored, lambda v: 2 * v.shared >= min(map(len, [*v.matching, *v.not_matching])))
    if shared:
        yield Finding(
            code="shared-tokens",
            field="items.*.variants",
            items=shared,
            said=f"in {len(shared)} items all completions begin with the same tokens, half of the "
            "shortest or more: they dilute the score and tell nothing",
            remedy="move the common beginning to `opening`",
        )
    if merged := _where(everything, lambda v: v.merged):
        yield Finding(
            code="boundary-merge",
            field="items.*.variants.*.opening",
            items=merged,
            said=f"in {len(merged)} items prompt and completion, read as one text, part at other "
            "tokens than when they are read one by one, which is how they are scored",
            remedy="end the opening with a whole word and begin the completions with the space "
            "that follows it; where it is in all items, it is the tokenizer's way",
        )


def _mean_counts(variants: Sequence[_Read]) -> tuple[float, float]:
    matching, others = zip(*(variant.counts for variant in variants), strict=True)
    return fmean(matching), fmean(others)


def _where(read: Mapping[str, list[_Read]], holds: Callable[[_Read], bool]) -> tuple[str, ...]:
    return tuple(id for id, variants in read.items() if any(map(holds, variants)))


def _read(variant: Variant, tokenizer: ChatTokenizer) -> _Read:
    chat = tokenizer.render_chat(
        [message.model_dump() for message in variant.messages], add_generation_prompt=True
    )
    prompt = tokenizer.encode_text(chat)
    prompt += tokenizer.encode_text(variant.opening) if variant.opening else ()
    before = chat + variant.opening
    kinds = variant.matching, variant.not_matching
    matching, not_matching = ([tokenizer.encode_text(text) for text in kind] for kind in kinds)
    merged = any(
        tokenizer.encode_text(before + text) != prompt + tokens
        for kind, read in zip(kinds, (matching, not_matching), strict=True)
        for text, tokens in zip(kind, read, strict=True)
    )
    return _Read(matching, not_matching, merged)
