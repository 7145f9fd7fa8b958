"""From a line's settings to its source, and from a locator to files on this machine.

A comparison may run on another machine than the watch: it knows a version's line and locators, and
opens them itself. Every command begins here, so what only some lines need is imported for those.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path

from monitor.errors import SourceError
from monitor.pace import Pace, unhurried
from monitor.settings import Settings
from monitor.settings.lines import LineSettings
from monitor.settings.sources import HubLine, MlflowLine, ObjectsLine
from monitor.sources.directory import DirectorySource
from monitor.sources.downloads import DownloadCache
from monitor.sources.source import Source


def source_of(line: LineSettings, settings: Settings, pace: Pace = unhurried) -> Source:
    """Where the versions of `line` appear; what it downloads goes at `pace`."""
    cache = DownloadCache(settings.data_dir / "downloads", settings.download_bytes, pace)
    source = _place_of(line, settings, cache)
    if line.adapters is None:
        return source
    from monitor.sources.adapter_source import AdapterSource

    return AdapterSource(source, line.adapters, cache)


def _place_of(line: LineSettings, settings: Settings, cache: DownloadCache) -> Source:
    match line.source:
        case Path() as directory:
            return DirectorySource(directory, line.include)
        case HubLine() as repository:
            from monitor.sources.hub import HubSource

            return HubSource(repository, settings.hub, cache)
        case ObjectsLine() as prefix:
            from monitor.sources.object_store import ObjectSource

            return ObjectSource(prefix, line.include, cache)
        case MlflowLine() as model:
            from monitor.sources.mlflow_registry import MlflowSource

            return MlflowSource(model, settings.mlflow, cache)


Open = Callable[[str, str, Pace], Path]
_open: ContextVar[Open | None] = ContextVar("open", default=None)


@contextmanager
def fetching(settings: Settings) -> Iterator[None]:
    """Within the block `open_place` works for the lines of `settings`; what it opened stays."""
    with ExitStack() as stack:

        def open_one(line_name: str, locator: str, pace: Pace) -> Path:
            line = settings.line(line_name)
            if line is None:
                raise SourceError(
                    f"{locator}: line {line_name} is not in the settings here, so nothing says "
                    "how to fetch it; use the settings with which it is watched"
                )
            return stack.enter_context(source_of(line, settings, pace).open(locator))

        token = _open.set(open_one)
        try:
            yield
        finally:
            _open.reset(token)


def open_place(line_name: str, locator: str, pace: Pace = unhurried) -> Path:
    """The directory with the files of `locator`, which a version of the line had.

    What is not on this machine is fetched at `pace`, where a `fetching` block allows that. Raises
    SourceError, CheckpointRefusedError.
    """
    if not is_remote(locator):
        return Path(locator)
    open_one = _open.get()
    if open_one is None:
        raise SourceError(f"{locator}: can't be fetched here")
    return open_one(line_name, locator, pace)


def stays(line: LineSettings, locator: str) -> bool:
    """Whether what lay at `locator` can be opened though no look shows it any more: a commit of the
    repository of `line`, of which only the newest are shown."""
    return line.hub is not None and f"hf:{line.hub.repo}@" in locator


def is_remote(locator: str) -> bool:
    """Whether the files of `locator` are not on this machine's file system."""
    return not locator.startswith("/")
