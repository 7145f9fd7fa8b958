"""Slack as a channel: post, update and find messages through slack-sdk.

Nothing is retried here. A retry after a lost reply would post twice: the outbox first looks for the
message by its metadata, which Slack keeps and hides.
"""

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPException
from typing import Any, TypeVar

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.models.metadata import Metadata

from alerts.channel import (
    GoneError,
    NotNowError,
    Posting,
    RefusedError,
    UnclearError,
)

EVENT = "latentwatch_message"
"""Type of the metadata of every message."""

_UNCLEAR = {"fatal_error", "internal_error", "request_timeout", "service_unavailable"}
"""Errors after which, as Slack documents, some of the operation may have succeeded."""
_GONE = {"message_not_found", "thread_not_found"}
_LIMITED_SECONDS = 30.0
_PAGE = 200
_EARLIER, _LATER = 60.0, 3600.0
"""Seconds around an attempt in which its message stands: Slack's machines need not agree to the
second, and a request may hang for long. What was said since then is not looked through."""

R = TypeVar("R")


class SlackChannel:
    """One workspace, as the bot whose token the client has."""

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def now(self) -> float:
        """The time that Slack's answers bear: timestamps of messages are by the same clock, which
        that of this host may be far from. Raises a ChannelError."""
        headers = told(self._client.auth_test).headers
        dates = [value for name, value in headers.items() if name.lower() == "date"]
        try:
            return parsedate_to_datetime(dates[0]).timestamp()
        except (IndexError, ValueError) as error:
            raise RefusedError(
                "the answers of Slack bear no time (the header Date), without which a message that "
                "may have been sent can't be found again; check alerts.slack.api_url and the proxy"
            ) from error

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
                alt_txt=posting.text,
            )
        )
        return str(done["file"]["id"])


def told(call: Callable[[], R]) -> R:
    """What `call` returns; its failure as the ChannelError that says what has happened."""
    try:
        return call()
    except SlackApiError as error:
        response = error.response
        code = str(response.get("error", "")) if isinstance(response.data, dict) else ""
        if response.status_code == 429 or code == "ratelimited":
            seconds = _seconds(response.headers.get("Retry-After"))
            raise NotNowError("Slack asks to wait", seconds) from error
        if response.status_code >= 500 or code in _UNCLEAR or not code:
            raise UnclearError(f"Slack answered {response.status_code} {code}") from error
        if code in _GONE:
            raise GoneError(f"Slack says {code}") from error
        needed = response.get("needed")
        scope = f" (the app needs the scope {needed})" if needed else ""
        raise RefusedError(f"Slack says {code}{scope}") from error
    except (SlackClientError, HTTPException, OSError) as error:
        raise UnclearError(f"Slack did not answer: {error}") from error


def _seconds(header: Any) -> float:
    value = header[0] if isinstance(header, list) else header
    try:
        return max(1.0, float(value))
    except (TypeError, ValueError):
        return _LIMITED_SECONDS


def _filename(posting: Posting) -> str:
    return f"{posting.key}.png"


def _is(message: dict[str, Any], posting: Posting) -> bool:
    if posting.picture is not None:
        return any(file.get("name") == _filename(posting) for file in message.get("files", []))
    metadata = message.get("metadata") or {}
    key = (metadata.get("event_payload") or {}).get("key")
    return metadata.get("event_type") == EVENT and key == posting.key
