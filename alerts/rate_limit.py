"""How fast a channel may be written to: one message a second, and less when it asks for less."""

SECONDS_PER_MESSAGE = 1.0


class RateLimit:
    """Knows when each channel may be written to again."""

    def __init__(self, seconds: float = SECONDS_PER_MESSAGE) -> None:
        self._seconds = seconds
        self._ready_at: dict[str, float] = {}

    def is_ready(self, channel: str, now: float) -> bool:
        """Whether `channel` may be written to at the time `now`."""
        return self._ready_at.get(channel, 0.0) <= now

    def wrote(self, channel: str, now: float) -> None:
        """Something was sent to `channel`."""
        self.wait(channel, now + self._seconds)

    def wait(self, channel: str, until: float) -> None:
        """`channel` takes nothing before the time `until`."""
        self._ready_at[channel] = max(until, self._ready_at.get(channel, 0.0))
