"""Where the contents of a conversation lie in what a chat template makes of it.

A template may add system prompts and role words, trim contents, leave messages out or put them in
another order, and a content may look like a piece of template. So the template is rendered twice,
with the contents and with a mark in the place of each; the text between the marks is the
template's own.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

_MARK = "\ue000{}\ue001"
"""Private-use characters: no template writes them, and trimming leaves them alone."""


class Span(NamedTuple):
    """Part of a rendered conversation that is content."""

    start: int
    stop: int
    message: int
    skipped: int
    """Characters of the message's content that the template cut off before this part."""


def content_spans(
    render: Callable[[Sequence[Mapping[str, str]]], str], messages: Sequence[Mapping[str, str]]
) -> tuple[str, list[Span]]:
    """The rendered conversation, and its contents in the order of the text.

    A content that the template rewrote has no span; of one that it repeats the first counts. There
    are no spans behind a place where the template's own text depends on the contents in a way that
    hides where they lie.
    """
    text = render(messages)
    marked = [{**m, "content": _MARK.format(n)} for n, m in enumerate(messages)]
    numbers = "|".join(str(n) for n in range(len(messages)))
    first, *rest = re.split(_MARK.format(f"({numbers})"), render(marked))
    spans: list[Span] = []
    if not text.startswith(first):
        return text, spans
    start = len(first)
    for mark, after in zip(rest[::2], rest[1::2], strict=True):
        content = messages[int(mark)]["content"]
        part = _part(text, start, content, after)
        if part is None:
            break
        if part in content and int(mark) not in (span.message for span in spans):
            spans.append(Span(start, start + len(part), int(mark), content.rindex(part)))
        start += len(part) + len(after)
    return text, spans


def _part(text: str, start: int, content: str, after: str) -> str | None:
    """What stands at ``start`` for the content, before the template's text ``after``."""
    for part in (content, content.strip(), content.lstrip(), content.rstrip()):
        if text.startswith(part + after, start):
            return part
    # Some templates cut a part off, such as the reasoning of earlier answers.
    stop = text.find(after, start) if after else len(text)
    return None if stop < 0 else text[start:stop]
