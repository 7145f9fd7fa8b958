"""The workspace as a person sees it in a browser: a channel, a thread beside it, a dialog."""

from datetime import UTC, datetime
from functools import partial
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader

from deploy.fake_slack.mrkdwn import to_html
from deploy.fake_slack.workspace import BOT, Workspace

_TEMPLATES = Environment(
    loader=PackageLoader("deploy.fake_slack", ""), autoescape=True, trim_blocks=True
)
ASSETS = {"/page.css": "text/css", "/page.js": "text/javascript"}


def asset(path: str) -> bytes:
    """The content of one of ASSETS."""
    return (resources.files("deploy.fake_slack") / path.lstrip("/")).read_bytes()


def page(workspace: Workspace, channel: str, user: str, thread: str | None) -> str:
    """The whole page of `channel` as `user` sees it, with one thread open beside it."""
    return _render("page.html.j2", workspace, channel, user, thread)


def content(workspace: Workspace, channel: str, user: str, thread: str | None) -> str:
    """The part of the page that changes."""
    return _render("content.html.j2", workspace, channel, user, thread)


def _render(name: str, workspace: Workspace, channel: str, user: str, thread: str | None) -> str:
    with workspace.lock:
        parent = None if thread is None else workspace.find(channel, thread)
        replies = [] if parent is None else workspace.thread(channel, parent["ts"])
        seen = [m for m in workspace.ephemeral if (m["channel"], m["user"]) == (channel, user)]
        return _TEMPLATES.get_template(name).render(
            channel=workspace.channels[channel],
            channels=workspace.channels.values(),
            user=workspace.users[user],
            users=workspace.users.values(),
            messages=[_message(workspace, channel, m) for m in workspace.in_channel(channel)],
            thread=[_message(workspace, channel, m) for m in replies],
            thread_ts=thread if parent else None,
            only_you=[m for m in seen if not m.get("thread_ts")][-1:],
            only_you_in_thread=[m for m in seen if m.get("thread_ts") == thread][-1:],
            view=workspace.views.get(user),
            html=partial(to_html, workspace=workspace),
        )


def _message(workspace: Workspace, channel: str, message: dict[str, Any]) -> dict[str, Any]:
    at = datetime.fromtimestamp(float(message["ts"]), UTC)
    return message | {
        "channel": channel,
        "at": at.strftime("%H:%M"),
        "by_app": message["user"] == BOT,
        "replies": len(workspace.thread(channel, message["ts"])),
        "text_part": {"type": "mrkdwn", "text": message["text"]},
    }
