"""The seam to whatever alerts are sent through, and the three ways in which sending can fail."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol


class Posting(NamedTuple):
    """One message, ready to be sent."""

    channel: str
    key: str
    """Unique in the channel and always the same for this message: by it the message is found."""
    text: str
    blocks: Sequence[dict[str, Any]] = ()
    thread: str | None = None
    """Reference of the message in whose thread it stands."""
    broadcast: bool = False
    """It stands in a thread and in the channel too."""
    picture: bytes | None = None
    """A PNG; then the text is its title."""
    picture_in_words: str = ""
    """For who does not see it."""


class Channel(Protocol):
    """Sends alerts. Every call raises one of the errors below and no other."""

    def now(self) -> float:
        """What the channel's own clock says, in seconds since the epoch. Asking sends nothing."""
        ...

    def post(self, posting: Posting) -> str:
        """Send it and return the reference by which it can be updated."""
        ...

    def update(self, posting: Posting, reference: str) -> None:
        """Bring a sent message up to date. Doing it twice does nothing more."""
        ...

    def find(self, posting: Posting, since: float) -> str | None:
        """The reference of `posting` if it was sent after `since`, a time that `now` gave just
        before the attempt; None where it is certain that it was not."""
        ...


class ChannelError(Exception):
    """Base of the three; the message is for the operator."""


class NotNowError(ChannelError):
    """It was not sent; after `seconds` it may be tried again."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class UnclearError(ChannelError):
    """Nobody knows whether it was sent: the answer was lost, or says that something failed."""


class RefusedError(ChannelError):
    """It was not sent and will not be before somebody changes something."""


class GoneError(ChannelError):
    """The message to be updated is there no more."""
