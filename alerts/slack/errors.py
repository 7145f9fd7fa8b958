"""What a failed call of Slack says about what was done, and when to come again."""

from collections.abc import Callable
from http.client import HTTPException
from typing import Any, TypeVar

from slack_sdk.errors import SlackApiError, SlackClientError

from alerts.channel import GoneError, NotNowError, RefusedError, UnclearError

_UNCLEAR = {"fatal_error", "internal_error", "request_timeout", "service_unavailable"}
"""Errors after which, as Slack documents, some of the operation may have succeeded."""
_GONE = {"message_not_found", "thread_not_found"}
_LIMITED_SECONDS = 30.0

R = TypeVar("R")


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
