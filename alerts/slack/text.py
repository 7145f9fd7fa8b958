"""Text for Slack: foreign words made literal and of a known length, and messages read back as text.

Slack parses `&`, `<` and `>` in every kind of text, so all foreign text is escaped, also where no
formatting applies. See https://docs.slack.dev/messaging/formatting-message-text.
"""

import re
from collections.abc import Sequence
from typing import Any

from alerts.plain_text import one_line, strip_controls, whole_words

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MENTION = re.compile(r"@(?=\S)")
_DEFUSED = "@\u200b"  # a zero-width space keeps clients from reading a mention
_BOLD = re.compile(r"\*([^*\n]+)\*")


def literal(text: str, limit: int) -> str:
    """`text` as one line that Slack shows as it stands, at most `limit` characters as sent.

    What does not fit is cut between words where that is possible, else between whole characters,
    and the cut says how much is missing.
    """
    line = _MENTION.sub(_DEFUSED, one_line(text))
    pieces = [_ESCAPES.get(character, character) for character in line]
    if sum(map(len, pieces)) <= limit:
        return "".join(pieces)
    room = limit - len(f" … [+{len(line)} characters]")
    kept, used = 0, 0
    while used + len(pieces[kept]) <= room:
        used += len(pieces[kept])
        kept += 1
    kept = whole_words(line, kept)
    return f"{''.join(pieces[:kept])} … [+{len(line) - kept} characters]"


def code(text: str, limit: int) -> str:
    """`text` as inline code, where Slack applies no formatting, at most `limit` characters."""
    return f"`{literal(text.replace('`', '´'), limit - 2) or ' '}`"


def render_text(blocks: Sequence[dict[str, Any]]) -> str:
    """The blocks of a message as plain text for a terminal, buttons as their labels."""
    return "\n\n".join(filter(None, map(_block_text, blocks))) + "\n"


def _block_text(block: dict[str, Any]) -> str:
    if block["type"] == "header":
        title = _readable(block["text"])
        return f"{title}\n{'=' * len(title)}"
    if block["type"] == "actions":
        return "  ".join(map(_button_text, block["elements"]))
    parts = [block["text"]] if "text" in block else []
    fields = [_readable(field).replace("\n", ": ", 1) for field in block.get("fields", [])]
    return "\n".join([*map(_readable, parts + block.get("elements", [])), *fields])


def _button_text(element: dict[str, Any]) -> str:
    label = _readable(element.get("text") or element["placeholder"])
    return f"[{label}: {element['url']}]" if "url" in element else f"[{label}]"


def _readable(part: dict[str, Any]) -> str:
    text = str(part["text"])
    if part["type"] == "mrkdwn":
        text = _BOLD.sub(r"\1", text).replace("`", "")
    for character, escape in reversed(_ESCAPES.items()):
        text = text.replace(escape, character)
    return strip_controls(text)
