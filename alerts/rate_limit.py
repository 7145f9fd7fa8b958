"""How fast a channel may be written to: one message a second, and less when it asks for less."""

from collections.abc import Callable

SECONDS_PER_MESSAGE = 1.0


class RateLimit:
    """Knows when each channel may be written to again, by a clock that nobody sets."""

    def __init__(self, elapsed: Callable[[], float], seconds: float = SECONDS_PER_MESSAGE) -> None:
        self._elapsed, self._seconds = elapsed, seconds
        self._ready_at: dict[str, float] = {}

    def is_ready(self, channel: str) -> bool:
        """Whether `channel` may be written to now."""
        return self._ready_at.get(channel, float("-inf")) <= self._elapsed()

    def wrote(self, channel: str) -> None:
        """Something was sent to `channel`."""
        self.wait(channel, self._seconds)

    def wait(self, channel: str, seconds: float) -> None:
        """`channel` takes nothing for so many seconds."""
        until = self._elapsed() + seconds
        self._ready_at[channel] = max(until, self._ready_at.get(channel, until))
