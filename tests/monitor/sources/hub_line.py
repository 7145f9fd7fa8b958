"""The line chat on the fake Hub, and pushes to it."""

from pathlib import Path

from deploy.bench.made_up import write_checkpoint
from tests.fakes.hub import FakeHub
from tests.monitor.conftest import Sessions
from tests.monitor.watching.watched import WatchedLine

DAY = 86_400.0


def hub_line(hub: FakeHub, data: Path, sessions: Sessions) -> WatchedLine:
    """It watches `main` and the tags."""
    place = {"repo": hub.repo, "refs": ["main", "v*"]}
    return WatchedLine(data, sessions, {"hub": place, "trusted": "v1.0"}, hub={"endpoint": hub.url})


def push(hub: FakeHub, path: Path, seed: int, date: float) -> str:
    """The commit of another checkpoint on main."""
    return hub.push(write_checkpoint(path, seed), date)


def name_of(sha: str) -> str:
    """What a commit on main is called."""
    return f"main@{sha[:12]}"
