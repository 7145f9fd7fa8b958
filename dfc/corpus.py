"""What the models read and answer: texts, chats and prompts from JSONL files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dfc.errors import CorpusError

if TYPE_CHECKING:  # the control plane reads corpora without torch
    from dfc.engines.engine import Engine

ROLES = ("system", "user", "assistant", "tool")


class Text(NamedTuple):
    """A plain text."""

    text: str


class Chat(NamedTuple):
    """A conversation; ``category`` is None when the file names none."""

    messages: tuple[dict[str, str], ...]
    category: str | None = None


TextOrChat = Text | Chat


def read_corpus(path: str | Path) -> list[TextOrChat]:
    """Texts and chats of a JSONL file, one object per line with "text" or "messages".

    Other keys are ignored, except "category". Raises CorpusError with file, line, field and remedy.
    """
    return _read(Path(path))


def bundled_texts() -> list[TextOrChat]:
    """Neutral texts and chats that come with the package."""
    return _read(resources.files("dfc") / "data" / "texts.jsonl")


def bundled_prompts() -> list[Chat]:
    """Prompts that come with the package, for on-policy answers."""
    return prompts_of(_read(resources.files("dfc") / "data" / "prompts.jsonl"))


def prompts_of(items: Sequence[TextOrChat]) -> list[Chat]:
    """The items as prompts. Raises CorpusError for one that doesn't wait for an answer."""
    prompts = []
    for number, item in enumerate(items):
        if not isinstance(item, Chat) or item.messages[-1]["role"] not in ("user", "tool"):
            raise CorpusError(
                f"prompt {number} does not end with a user message, so there is nothing to answer; "
                'give {"messages": [..., {"role": "user", "content": ...}]}'
            )
        prompts.append(item)
    return prompts


def encode_corpus(
    engine: Engine, items: Sequence[TextOrChat], max_tokens: int
) -> list[tuple[int, ...]]:
    """Token ids of each item, cut at ``max_tokens``; chats go through the chat template."""
    documents = []
    for item in items:
        if isinstance(item, Text):
            tokens = engine.encode_text(item.text)
        else:
            tokens = engine.encode_chat(item.messages, add_generation_prompt=False)
        documents.append(tokens[:max_tokens])
    return documents


def _read(file: Path | Traversable) -> list[TextOrChat]:
    try:
        # Only "\n" ends a line: JSON strings may hold the other separators as they are.
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{file} cannot be read as UTF-8 text: {error}") from error
    items = [_item(line, f"{file}, line {n}") for n, line in enumerate(lines, 1) if line.strip()]
    if not items:
        raise CorpusError(
            f'{file} is empty; give one {{"text": ...}} or {{"messages": [...]}} per line'
        )
    return items


def _item(line: str, where: str) -> TextOrChat:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise CorpusError(f"{where}: not JSON ({error}); give one JSON object per line") from error
    except RecursionError as error:
        raise CorpusError(f"{where}: is nested too deeply; give one flat JSON object") from error
    if not isinstance(record, dict) or ("text" in record) == ("messages" in record):
        raise CorpusError(f'{where}: give an object with either "text" or "messages"')
    if "text" in record:
        if not isinstance(record["text"], str) or not record["text"].strip():
            raise CorpusError(f'{where}: "text" must be a string that is not blank')
        return Text(record["text"])
    category = record.get("category")
    if category is not None and not isinstance(category, str):
        raise CorpusError(f'{where}: "category" must be a string')
    return Chat(_messages(record["messages"], where), category)


def _messages(value: Any, where: str) -> tuple[dict[str, str], ...]:
    if not isinstance(value, list) or not value:
        raise CorpusError(f'{where}: "messages" must be a list of at least one message')
    for number, message in enumerate(value):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise CorpusError(
                f'{where}: messages[{number}] needs a "role", one of {", ".join(ROLES)}'
            )
        if not isinstance(message.get("content"), str):
            raise CorpusError(f'{where}: messages[{number}] needs a "content" string')
    return tuple({"role": m["role"], "content": m["content"]} for m in value)
