"""Slack's formatted text as HTML, as a person would see it.

https://docs.slack.dev/messaging/formatting-message-text
"""

import re
from datetime import UTC, datetime
from html import escape, unescape
from typing import Any

from markupsafe import Markup

from deploy.fake_slack.workspace import Workspace

_SPECIAL = re.compile(r"<([^<>\n]+)>")
_OPEN, _CLOSE = "\ue000", "\ue001"
_KEPT = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_EMOJI = {
    "🔴": ("●", "#d0021b"),
    "🟠": ("●", "#e8912d"),
    "⚪": ("○", "#616061"),
    "👀": ("◉", "#1264a3"),
    "💤": ("z", "#616061"),
    "✅": ("✓", "#007a5a"),
    "⛔": ("⊘", "#d0021b"),
    "➡️": ("→", "#616061"),
}
"""Slack has pictures of its own for these, so they look alike where the font has none."""
_STYLES = (
    (re.compile(r"(?<![\w`])`([^`\n]+)`"), r"<code>\1</code>"),
    (re.compile(r"(?<!\w)\*(\S(?:[^*\n]*\S)?)\*(?!\w)"), r"<b>\1</b>"),
    (re.compile(r"(?<!\w)_(\S(?:[^_\n]*\S)?)_(?!\w)"), r"<i>\1</i>"),
    (re.compile(r"(?<!\w)~(\S(?:[^~\n]*\S)?)~(?!\w)"), r"<s>\1</s>"),
)


def to_html(part: dict[str, Any], workspace: Workspace) -> Markup:
    """A text object, formatted where it is `mrkdwn`."""
    if part["type"] != "mrkdwn":
        return _lines(escape(unescape(part["text"])))
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(_special(match[1], workspace))
        return f"{_OPEN}{len(kept) - 1}{_CLOSE}"

    own = part["text"].replace(_OPEN, "").replace(_CLOSE, "")  # nobody else's marks
    text = escape(unescape(_SPECIAL.sub(keep, own)))
    for pattern, html in _STYLES:
        text = pattern.sub(html, text)
    return _lines(_KEPT.sub(lambda match: kept[int(match[1])], text))


def _lines(html: str) -> Markup:
    for emoji, (sign, colour) in _EMOJI.items():
        html = html.replace(emoji, f'<i class="emoji" style="color: {colour}">{sign}</i>')
    return Markup(html.replace("\n", "<br>"))


def _special(content: str, workspace: Workspace) -> str:
    target, _, label = content.partition("|")
    if target.startswith("@"):
        user = workspace.users.get(target[1:])
        return _mention(user.name if user else target[1:])
    if target.startswith("!subteam^"):
        group = workspace.groups.get(target.removeprefix("!subteam^"))
        return _mention(group[0] if group else target)
    if target.startswith("!date^"):
        seconds = target.split("^")[1]
        if seconds.isdecimal():
            return datetime.fromtimestamp(int(seconds), UTC).strftime("%b %-d, %Y, %H:%M UTC")
        return escape(unescape(label))
    if target.startswith("!"):
        return _mention(target[1:])
    if target.startswith("#"):
        channel = workspace.channels.get(target[1:])
        return f"#{escape(channel.name if channel else target[1:])}"
    if target.startswith(("http://", "https://", "mailto:")):
        shown = escape(unescape(label or target))
        return f'<a href="{escape(unescape(target))}" rel="noreferrer">{shown}</a>'
    return escape(f"<{unescape(content)}>")


def _mention(name: str) -> str:
    return f'<span class="mention">@{escape(name)}</span>'
