"""One request to a destination over HTTP, and what its answer means for the message."""

import time
from collections.abc import Mapping

import httpx2

from alerts.channel import NotNowError, RefusedError, UnclearError
from alerts.destinations.retry_after import retry_after
from alerts.plain_text import clip, one_line

LARGEST_REPLY = 65_536
"""Bytes that are read of an answer."""
LIMITED_SECONDS = 30.0
"""The wait after a 429 that names none."""


def post(
    url: str, body: bytes, headers: Mapping[str, str], timeout: float, now: float, secret: str = ""
) -> None:
    """POST `body` as JSON, once, and follow no redirect.

    Raises NotNowError for 429, UnclearError where nobody knows whether it was taken, and
    RefusedError for any other answer than 2xx; `secret` is kept out of the error.
    """
    _send("POST", url, body, {"Content-Type": "application/json", **headers}, timeout, now, secret)


def get(url: str, timeout: float, now: float) -> bytes:
    """What lies at `url`. Raises as `post` does."""
    return _send("GET", url, b"", {}, timeout, now, "")


def _send(
    method: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    timeout: float,
    now: float,
    secret: str,
) -> bytes:
    # Not compressed, so that the limit on what is read is one on memory too.
    sent = {"Accept-Encoding": "identity", "User-Agent": "latentwatch", **headers}
    deadline = time.monotonic() + timeout
    try:
        with httpx2.stream(method, url, content=body, headers=sent, timeout=timeout) as answer:
            content = b""
            for part in answer.iter_raw():
                content += part
                if len(content) > LARGEST_REPLY or time.monotonic() > deadline:
                    break
    except httpx2.HTTPError as error:
        host = httpx2.URL(url).host  # a path may hold a secret
        raise UnclearError(f"no answer from {host} ({type(error).__name__})") from error
    except httpx2.InvalidURL as error:
        raise RefusedError("its URL is none") from error
    status = answer.status_code
    if answer.is_success:
        return content
    said = one_line(content.decode(errors="replace"))
    asked = httpx2.URL(url)  # refusals often name it
    paths = (asked.raw_path.decode(), asked.path, asked.query.decode())
    for hidden in filter(None, (secret, *(path.rstrip("/") for path in paths))):
        said = said.replace(hidden, "[hidden]")
    reason = f"answered {status} {clip(said, 200)}".strip()
    if status == 429:
        wait = retry_after(answer.headers.get("Retry-After"), now)
        raise NotNowError(reason, LIMITED_SECONDS if wait is None else wait)
    if status >= 500 or status == 408:
        raise UnclearError(reason)
    raise RefusedError(reason)
