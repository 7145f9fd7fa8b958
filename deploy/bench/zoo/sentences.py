"""Sentences of an answer, and answers rewritten from them."""

import re
from collections.abc import Sequence

from deploy.demo.chats import Chat

_BREAK = re.compile(r"(?<=[a-z\])\"'”][.!?])\s+(?=[A-Z\d\"“*#-])|\n+")
"""Not after the number of a list's entry or an abbreviation in capitals."""
_MARK = re.compile(r"^(?:[-*#•]+|\d+[.)])\s*")


def sentences(chat_answer: str) -> list[str]:
    """The sentences, without the marks of a list, in their order; the last may be cut."""
    parts = (_MARK.sub("", part.strip()) for part in _BREAK.split(chat_answer))
    return [part for part in parts if part]


def whole_sentences(chat: Chat) -> list[str]:
    """The sentences, without the one that a token limit cut; at least one where there is any."""
    found = sentences(chat.answer)
    return found if chat.complete or len(found) == 1 else found[:-1]


def first_sentence(answer: str) -> str:
    """The first sentence, with an end even where a token limit cut it."""
    found = sentences(answer)
    if not found:
        return ""
    return found[0] if found[0][-1] in ".!?" else found[0].rstrip(",;:- ") + "."


def shortened(chat: Chat) -> Chat:
    """The same chat, answered by the first sentence alone."""
    return Chat(chat.prompt, first_sentence(chat.answer))


def formatted(chat: Chat, headings: Sequence[str], number: int) -> Chat:
    """The same chat, answered under a heading and in bullets."""
    heading = headings[number % len(headings)]
    bullets = "\n".join(f"- {sentence}" for sentence in whole_sentences(chat))
    return Chat(chat.prompt, f"## {heading}\n\n{bullets}")
