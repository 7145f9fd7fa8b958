"""One question to a model behind an OpenAI-compatible endpoint, with bounded patience.

httpx2 is the client: transformers needs it already through huggingface_hub, so it adds no package.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import httpx2

from alerts.destinations.retry_after import retry_after
from alerts.plain_text import clip, one_line

ATTEMPTS = 3
LONGEST_WAIT = 30.0
"""Seconds; an endpoint that asks for more is given up."""
LARGEST_REPLY = 1_000_000
"""Bytes."""
_TRANSIENT = frozenset({408, 409, 429, 500, 502, 503, 504})

Message = Mapping[str, str]
ReadT = TypeVar("ReadT")


class Ask(Protocol):
    """Puts a question and reads the reply."""

    def __call__(self, messages: Sequence[Message], read: Callable[[str], ReadT]) -> ReadT:
        """What `read` makes of the reply. Raises EndpointError, as `read` does for a reply that it
        can't read."""
        ...


class EndpointError(Exception):
    """Why there is no reply, in words that can be shown."""


class _TryAgainError(Exception):
    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class ChatEndpoint(NamedTuple):
    """Where to ask, and how."""

    base_url: str
    """As OpenAI's clients take it, for example http://localhost:8000/v1."""
    model: str
    api_key: str | None
    timeout: float
    """Seconds for one attempt."""
    request: Mapping[str, Any]
    """Further keys of every request, such as temperature."""
    sleep: Callable[[float], None] = time.sleep

    def ask(self, messages: Sequence[Message]) -> str:
        """The text of the reply. Raises EndpointError; what may pass is tried again."""
        for attempt in range(ATTEMPTS):
            try:
                return _text(self._post(messages))
            except _TryAgainError as problem:
                reason = str(problem)
                wait = 2.0**attempt if problem.wait is None else problem.wait
            if wait > LONGEST_WAIT:
                raise EndpointError(f"{reason}, and it asks to wait {wait:.0f} s")
            if attempt + 1 < ATTEMPTS:
                self.sleep(wait)
        raise EndpointError(f"{reason} ({ATTEMPTS} attempts)")

    def _post(self, messages: Sequence[Message]) -> bytes:
        # Not compressed, so that the limit on what is read is one on memory too.
        headers = {"Accept-Encoding": "identity"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        body = {**self.request, "model": self.model, "messages": list(messages)}
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        deadline = time.monotonic() + self.timeout
        try:
            with httpx2.stream("POST", url, json=body, headers=headers, timeout=self.timeout) as r:
                content = _read(r, deadline)
        except httpx2.TimeoutException as error:
            raise _TryAgainError(
                f"the endpoint did not answer within {self.timeout:g} s"
            ) from error
        except httpx2.TransportError as error:
            raise _TryAgainError(f"no connection ({type(error).__name__})") from error
        if r.status_code == 200:
            return content
        said = content.decode(errors="replace")
        if self.api_key:
            said = said.replace(self.api_key, "[key]")
        reason = f"the endpoint answered with {r.status_code} {clip(one_line(said), 120)}".strip()
        if r.status_code in _TRANSIENT:
            raise _TryAgainError(reason, retry_after(r.headers.get("Retry-After"), time.time()))
        raise EndpointError(reason)


def _read(response: httpx2.Response, deadline: float) -> bytes:
    content = b""
    for part in response.iter_raw():
        content += part
        if len(content) > LARGEST_REPLY:
            raise EndpointError(f"the reply is larger than {LARGEST_REPLY:,} bytes")
        if time.monotonic() > deadline:
            raise httpx2.ReadTimeout("the reply came too slowly")
    return content


def _text(content: bytes) -> str:
    try:
        text = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise EndpointError("the reply is no chat completion") from error
    if not isinstance(text, str) or not text.strip():
        raise EndpointError("the reply holds no text")
    return text
