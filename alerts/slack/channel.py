"""Slack as a channel: post, update and find messages through slack-sdk.

Nothing is retried here. A retry after a lost reply would post twice: the outbox first looks for the
message by its metadata, which Slack keeps and hides.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from slack_sdk import WebClient
from slack_sdk.models.metadata import Metadata

from alerts.channel import Posting
from alerts.slack.clock import SlackClock, seconds_up
from alerts.slack.errors import told

EVENT = "latentwatch_message"
"""Type of the metadata of every message."""

_PAGE = 200
_EARLIER, _LATER = 60.0, 3600.0
"""Seconds around an attempt in which its message stands: Slack's machines need not agree to the
second, and a request may hang for long. What was said since then is not looked through."""


class SlackChannel:
    """One workspace, as the bot whose token the client has."""

    def __init__(self, client: WebClient, elapsed: Callable[[], float] = seconds_up) -> None:
        self._client, self._clock = client, SlackClock(client, elapsed)

    def now(self) -> float:
        """The time by Slack's clock. Raises a ChannelError."""
        return self._clock()

    def post(self, posting: Posting) -> str:
        """Send it; a reference is the message's timestamp. Raises a ChannelError."""
        if posting.picture is not None:
            return self._upload(posting)
        sent = told(
            lambda: self._client.chat_postMessage(
                channel=posting.channel,
                text=posting.text,
                blocks=list(posting.blocks) or None,
                metadata=Metadata(event_type=EVENT, event_payload={"key": posting.key}),
                unfurl_links=False,
                unfurl_media=False,
                reply_broadcast=posting.broadcast or None,
                thread_ts=posting.thread,
            )
        )
        return str(sent["ts"])

    def update(self, posting: Posting, reference: str) -> None:
        """Show the posting in place of the message `reference`. Raises a ChannelError."""
        told(
            lambda: self._client.chat_update(
                channel=posting.channel,
                ts=reference,
                text=posting.text,
                blocks=list(posting.blocks),
                metadata=Metadata(event_type=EVENT, event_payload={"key": posting.key}),
            )
        )

    def find(self, posting: Posting, since: float) -> str | None:
        """Look through the channel, or the thread, around `since`. Raises a ChannelError."""
        options: dict[str, Any] = {
            "channel": posting.channel,
            "oldest": f"{since - _EARLIER:.6f}",
            "latest": f"{since + _LATER:.6f}",
            "include_all_metadata": True,
            "limit": _PAGE,
        }
        cursor: str | None = None
        while True:
            page = told(partial(self._read, posting, options | {"cursor": cursor}))
            for message in page["messages"]:
                if _is(message, posting):
                    return str(message["ts"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                return None

    def _read(self, posting: Posting, options: dict[str, Any]) -> Any:
        if posting.thread is None:
            return self._client.conversations_history(**options)
        return self._client.conversations_replies(ts=posting.thread, **options)

    def _upload(self, posting: Posting) -> str:
        done = told(
            lambda: self._client.files_upload_v2(
                channel=posting.channel,
                thread_ts=posting.thread,
                content=posting.picture,
                filename=_filename(posting),
                title=posting.text,
                alt_txt=posting.picture_in_words,
            )
        )
        return str(done["file"]["id"])


def _filename(posting: Posting) -> str:
    return f"{posting.key}.png"


def _is(message: dict[str, Any], posting: Posting) -> bool:
    if posting.picture is not None:
        return any(file.get("name") == _filename(posting) for file in message.get("files", []))
    metadata = message.get("metadata") or {}
    key = (metadata.get("event_payload") or {}).get("key")
    return metadata.get("event_type") == EVENT and key == posting.key
