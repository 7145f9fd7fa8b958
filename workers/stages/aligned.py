"""The documents of a harvest as two models with different tokenizers read them.

Both read the same texts and conversations, each under its own template. What one model answered in
its own words the other reads as the assistant's message.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor, tensor

from dfc.alignment import LocatedTokens, align, read_chat, read_text
from dfc.corpus import Text, TextOrChat
from dfc.engines.engine import Activations, Engine, Reader
from workers.context import Context
from workers.keeping.artifact import Result
from workers.stages.answers import Answers, BothAnswers, Tokens

Positions = list[tuple[int, int]]
"""Of the base and of the candidate, where both have read the same text by then."""


class AlignedDocument(Result):
    """One document in both models."""

    base: Tokens
    candidate: Tokens
    pairs: Positions
    """Without the first position of either model, which is never harvested."""
    paired: int
    """Pairs before the group was cut."""
    content: int
    """Tokens with content in the model that has fewer of them: the most that could be paired."""


def aligned_documents(
    context: Context, answers: BothAnswers, max_tokens: int
) -> dict[str, Iterator[AlignedDocument]]:
    """The three groups of the harvest; documents without a pair are left out."""
    base, candidate = context.models["base"], context.models["candidate"]
    groups: dict[str, Sequence[TextOrChat]] = {
        "corpus": context.corpora.texts,
        "base answers": _answered(context, base, answers.base),
        "candidate answers": _answered(context, candidate, answers.candidate),
    }
    return {
        name: align_documents(base, candidate, group, max_tokens) for name, group in groups.items()
    }


def align_documents(
    base: Reader, candidate: Reader, items: Sequence[TextOrChat], max_tokens: int
) -> Iterator[AlignedDocument]:
    """Each item as both models read it, cut at `max_tokens`; those without a pair are left out."""
    for item in items:
        readings = [_read(engine, item).cut(max_tokens) for engine in (base, candidate)]
        pairs = [(i, j) for i, j in align(*readings) if i > 0 and j > 0]
        if pairs:
            content = min(sum(end is not None for end in one.ends_N[1:]) for one in readings)
            yield AlignedDocument(
                base=readings[0].tokens,
                candidate=readings[1].tokens,
                pairs=pairs,
                paired=len(pairs),
                content=max(content, len(pairs)),
            )


def within_pairs(documents: Iterator[AlignedDocument], most: int) -> list[AlignedDocument]:
    """The first documents with at most `most` pairs in all; of the last one the first pairs."""
    kept: list[AlignedDocument] = []
    left = most
    for document in documents:
        if left <= 0:
            break
        kept.append(document.model_copy(update={"pairs": document.pairs[:left]}))
        left -= len(document.pairs)
    return kept


def aligned_share(documents: Sequence[AlignedDocument]) -> float | None:
    """Pairs as a part of the most that could be paired, of whole documents: that one was cut to a
    budget says nothing of its alignment. None without documents."""
    content = sum(document.content for document in documents)
    return sum(document.paired for document in documents) / content if content else None


def aligned_lines(documents: Sequence[Tokens], positions: Sequence[Sequence[int]]) -> Tensor:
    """Lines of the harvest of `documents` that hold the given positions of each of them."""
    lines, start = [], 0
    for tokens, chosen in zip(documents, positions, strict=True):
        lines += [start + position - 1 for position in chosen]
        start += len(tokens) - 1
    return tensor(lines)


def at_lines(activations: Activations, lines: Tensor) -> Activations:
    """Some lines of a harvest."""
    return Activations(*(part[lines] for part in activations))


def _answered(context: Context, engine: Engine, answers: Answers) -> list[TextOrChat]:
    """Prompts with the words that the model of `engine` said."""
    spoken = zip(context.corpora.prompts, answers.answers, strict=True)
    texts = [(chat, engine.decode(answer).strip()) for chat, answer in spoken]
    return [
        chat._replace(messages=(*chat.messages, {"role": "assistant", "content": text}))
        for chat, text in texts
        if text
    ]


def _read(engine: Reader, item: TextOrChat) -> LocatedTokens:
    if isinstance(item, Text):
        return read_text(engine.tokenizer, item.text)
    return read_chat(engine.tokenizer, item.messages)
