"""The state of a fake workspace: people, channels, messages, files and open dialogs."""

import time
import uuid
from collections.abc import Callable
from threading import RLock
from typing import Any, NamedTuple

from deploy.fake_slack.faults import Faults
from deploy.fake_slack.rates import Rates

BOT_TOKEN, APP_TOKEN = "xoxb-fake-bot", "xapp-fake-app"
SIGNING_SECRET = "fake-signing-secret"
BOT = "U0LATENTW"
TEAM, APP = "T0FAKE", "A0LATENTW"
SCOPES = (
    "chat:write",
    "channels:history",
    "channels:read",
    "files:write",
    "groups:history",
    "groups:read",
    "usergroups:read",
    "users:read",
)


class User(NamedTuple):
    """A person, as the page shows them."""

    id: str
    name: str
    colour: str


class Channel(NamedTuple):
    """A channel; the bot posts only where it is a member."""

    id: str
    name: str
    has_bot: bool = True


class Trigger(NamedTuple):
    """Lets the app open a dialog for a user, once and soon."""

    user: str
    at: float


USERS = (
    User("U0ADA", "Ada", "#7a4fa3"),
    User("U0BEN", "Ben", "#2b7a5b"),
    User("U0CLEO", "Cleo", "#b8431f"),
)
GROUPS = {"S0SAFETY": ("safety-reviewers", ("U0ADA", "U0BEN"))}
CHANNELS = (
    Channel("C0ALERTS", "model-alerts"),
    Channel("C0CRITICAL", "model-alerts-critical"),
    Channel("C0OTHER", "somewhere-else", has_bot=False),
)


class Workspace:
    """Everything that the fake knows. Hold `lock` while reading or writing."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.lock = RLock()
        self.faults = Faults()
        self.rates = Rates()
        self.scopes = SCOPES
        self.users = {user.id: user for user in USERS}
        self.deleted: set[str] = set()
        """Users who were deactivated."""
        self.groups = dict(GROUPS)
        self.channels = {channel.id: channel for channel in CHANNELS}
        self.messages: dict[str, list[dict[str, Any]]] = {channel.id: [] for channel in CHANNELS}
        self.ephemeral: list[dict[str, Any]] = []
        """Messages that one user sees, with `channel` and `user`."""
        self.files: dict[str, dict[str, Any]] = {}
        self.views: dict[str, dict[str, Any]] = {}
        """The open dialog of each user."""
        self.triggers: dict[str, Trigger] = {}
        self.tickets: set[str] = set()
        """Of Socket Mode connections that were asked for; each opens one."""
        self.calls: list[str] = []
        """Methods that were called, in order, whatever came of it."""
        self._last_ts = 0

    def new_id(self, prefix: str) -> str:
        """An id that was not used before."""
        return f"{prefix}{uuid.uuid4().hex[:10].upper()}"

    def new_ts(self) -> str:
        """The timestamp of a new message, which is its id too: unique and rising."""
        self._last_ts = max(self._last_ts + 1, int(self.clock() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06}"

    def find(self, channel: str, ts: str) -> dict[str, Any] | None:
        """The message `ts` of a channel."""
        return next((m for m in self.messages.get(channel, []) if m["ts"] == ts), None)

    def thread(self, channel: str, ts: str) -> list[dict[str, Any]]:
        """The replies under the message `ts`."""
        return [m for m in self.messages[channel] if m.get("thread_ts") == ts and m["ts"] != ts]

    def in_channel(self, channel: str) -> list[dict[str, Any]]:
        """What stands in the channel itself, oldest first: no replies but those broadcast."""
        return [
            m
            for m in self.messages[channel]
            if m.get("thread_ts", m["ts"]) == m["ts"] or m.get("subtype") == "thread_broadcast"
        ]
