"""Slack's documented limits: what it refuses, with the code and the words in which it does.

https://docs.slack.dev/reference/block-kit/blocks and the pages of the methods. The limit on a
message's total size is not documented; Slack answers `msg_blocks_too_long` from about 13,200
characters on.
"""

import json
from collections.abc import Iterator
from typing import Any

MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100
MESSAGE_CHARACTERS = 13_200
TEXT_CHARACTERS = 40_000

_TEXTS = {"header": 150, "section": 3_000}
_FIELDS, _FIELD = 10, 2_000
_ELEMENTS = {"actions": 25, "context": 10}
_BLOCKS = {"header", "section", "actions", "context", "image", "divider", "input"}


class NotTakenError(Exception):
    """Slack's answer to a call that it does not take."""

    def __init__(self, error: str, *messages: str, **more: Any) -> None:
        super().__init__(error)
        self.error, self.messages, self.more = error, messages, more


def check_message(text: str | None, blocks: list[dict[str, Any]] | None) -> None:
    """Raise NotTakenError for a message that Slack would not take."""
    if not text and not blocks:
        raise NotTakenError("no_text")
    if len(text or "") > TEXT_CHARACTERS:
        raise NotTakenError("msg_too_long")
    if blocks:
        _check_blocks(blocks, MESSAGE_BLOCKS, "invalid_blocks")
        if len(json.dumps(blocks, ensure_ascii=False)) > MESSAGE_CHARACTERS:
            raise NotTakenError("msg_blocks_too_long")


def check_view(view: dict[str, Any]) -> None:
    """Raise NotTakenError for a view that Slack would not open."""
    problems = []
    if view.get("type") != "modal":
        problems.append("type must be modal")
    for name in ("title", "submit", "close"):
        if name in view:
            problems += _text(view[name], 24, name)
    if "title" not in view:
        problems.append("title is required")
    if any(b.get("type") == "input" for b in view.get("blocks", [])) and "submit" not in view:
        problems.append("submit is required with inputs")
    problems += _size(view.get("private_metadata", ""), 3_000, "private_metadata")
    problems += _size(view.get("callback_id", ""), 255, "callback_id")
    if problems:
        raise NotTakenError("invalid_arguments", *problems)
    _check_blocks(view.get("blocks", []), VIEW_BLOCKS, "invalid_arguments")


def _check_blocks(blocks: list[dict[str, Any]], most: int, error: str) -> None:
    problems = [f"no more than {most} items allowed"] if len(blocks) > most else []
    ids = [block["block_id"] for block in blocks if block.get("block_id")]
    if len(set(ids)) < len(ids):
        problems.append("block_id must be unique")
    for number, block in enumerate(blocks):
        problems += [f"{problem} [json-pointer:/blocks/{number}]" for problem in _block(block)]
    if problems:
        raise NotTakenError(error, *problems)


def _block(block: dict[str, Any]) -> Iterator[str]:
    kind = block.get("type")
    if kind not in _BLOCKS:
        yield f"unsupported block: {kind}"
        return
    yield from _size(block.get("block_id", ""), 255, "block_id")
    if kind in _TEXTS and ("text" in block or kind == "header"):
        yield from _text(block.get("text"), _TEXTS[kind], "text", plain=kind == "header")
    if kind == "section":
        if "text" not in block and not block.get("fields"):
            yield "a section needs text or fields"
        if len(block.get("fields", [])) > _FIELDS:
            yield f"no more than {_FIELDS} fields allowed"
        for field in block.get("fields", []):
            yield from _text(field, _FIELD, "field")
    if kind in _ELEMENTS:
        elements = block.get("elements", [])
        if not 1 <= len(elements) <= _ELEMENTS[kind]:
            yield f"between 1 and {_ELEMENTS[kind]} elements allowed"
        for element in elements:
            yield from _element(element) if kind == "actions" else _text(element, 2_000, "element")
    if kind == "input":
        yield from _text(block.get("label"), 2_000, "label", plain=True)
        yield from _input(block.get("element", {}))


def _input(element: dict[str, Any]) -> Iterator[str]:
    if element.get("type") != "plain_text_input":
        yield from _element(element)
        return
    yield from _size(element.get("action_id", ""), 255, "action_id")
    if not 0 <= element.get("max_length", 0) <= 3_000:
        yield "max_length must be less than 3001"


def _element(element: dict[str, Any]) -> Iterator[str]:
    yield from _size(element.get("action_id", ""), 255, "action_id")
    if element.get("type") == "button":
        yield from _text(element.get("text"), 75, "button text", plain=True)
        yield from _size(element.get("value", ""), 2_000, "value")
        yield from _size(element.get("url", ""), 3_000, "url")
    elif element.get("type") == "static_select":
        options = element.get("options", [])
        if not 1 <= len(options) <= 100:
            yield "between 1 and 100 options allowed"
        for option in options:
            yield from _text(option.get("text"), 75, "option text")
            yield from _size(option.get("value", ""), 150, "option value")
        initial = element.get("initial_option")
        if initial is not None and initial not in options:
            yield "initial_option must be one of the options"
    else:
        yield f"unsupported element: {element.get('type')}"
    confirm = element.get("confirm")
    if confirm is not None:
        yield from _text(confirm.get("title"), 100, "confirm title", plain=True)
        yield from _text(confirm.get("text"), 300, "confirm text")
        yield from _text(confirm.get("confirm"), 30, "confirm button", plain=True)
        yield from _text(confirm.get("deny"), 30, "deny button", plain=True)


def _text(part: Any, most: int, name: str, plain: bool = False) -> Iterator[str]:
    if not isinstance(part, dict) or part.get("type") not in ("plain_text", "mrkdwn"):
        yield f"{name} must be a text object"
        return
    if plain and part["type"] != "plain_text":
        yield f"{name} must be plain_text"
    if not part.get("text"):
        yield f"{name} must be more than 0 characters"
    yield from _size(part.get("text", ""), most, name)


def _size(text: str, most: int, name: str) -> Iterator[str]:
    if len(text) > most:
        yield f"{name} must be less than {most + 1} characters"
