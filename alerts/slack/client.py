"""The client of slack-sdk as alerts need it: a time limit, and no retries of its own."""

from slack_sdk import WebClient


def web_client(token: str, api_url: str, timeout_seconds: float) -> WebClient:
    """A client for the Web API at `api_url`, which ends with a slash.

    The default of slack-sdk repeats a call when the connection breaks, and a message whose reply
    was lost would be posted twice; here the outbox decides what is done again.
    """
    return WebClient(
        token=token, base_url=api_url, timeout=max(1, round(timeout_seconds)), retry_handlers=[]
    )
