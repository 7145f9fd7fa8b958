"""Prefixes with years of pushes: what a look asks the store for, and what it may not miss."""

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import fsspec
import pytest

from deploy.bench.made_up import write_checkpoint
from monitor.errors import CheckpointRefusedError
from monitor.settings.sources import ObjectsLine
from monitor.sources.downloads import DownloadCache
from monitor.sources.object_store import IN_TURN, NEWEST, ObjectSource
from monitor.sources.source import Fate, Observation, Place
from monitor.watching.line_watch import LineWatch
from tests.monitor.conftest import Sessions
from tests.monitor.watching.watched import WatchedLine

pytestmark = pytest.mark.long


class Store:
    """An empty prefix in memory, and how often each push of it was listed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.url = f"memory://{uuid.uuid4().hex}"
        self._store, self._root = fsspec.core.url_to_fs(self.url)
        self.listed: Counter[str] = Counter()
        find = self._store.find

        def counted(path: str, **kwargs: Any) -> Any:
            self.listed[path.rpartition("/")[2]] += 1
            return find(path, **kwargs)

        monkeypatch.setattr(self._store, "find", counted)

    def put(self, name: str, content: bytes = b"{}") -> None:
        self._store.pipe_file(f"{self._root}/{name}/config.json", content)

    def upload(self, path: Path) -> None:
        for file in path.iterdir():
            self._store.pipe_file(f"{self._root}/{path.name}/{file.name}", file.read_bytes())


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    return Store(monkeypatch)


def source_at(url: str, tmp_path: Path, **options: Any) -> ObjectSource:
    line = ObjectsLine(url=url, options=options)
    return ObjectSource(line, "*", DownloadCache(tmp_path / "downloads", 1 << 30))


def taken_in(found: list[Observation]) -> dict[Place, Fate]:
    return {Place(one.name, one.locator): Fate.VERSION for one in found}


def test_more_objects_than_a_page_are_no_limit_and_a_push_of_too_many_is_refused_alone(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for module in ("object_store", "object_client"):
        monkeypatch.setattr(f"monitor.sources.{module}.MAX_FILES", 150)
    bucket = uuid.uuid4().hex
    client = fsspec.filesystem("s3", endpoint_url=s3)
    client.mkdir(bucket)
    many = {f"step-{push}/part-{part}": b"" for push in range(5) for part in range(100)}
    absurd = {f"absurd/{part}": b"" for part in range(1100)}
    client.pipe({f"{bucket}/chat/{path}": content for path, content in (many | absurd).items()})
    source = source_at(f"s3://{bucket}/chat", tmp_path, endpoint_url=s3)
    found = {one.name: one for one in source.scan()}
    assert len(found) == 6
    refused = found.pop("absurd")
    assert "holds more than 150 objects" in str(refused.listing.problem)
    assert {(len(one.listing.files), one.listing.problem) for one in found.values()} == {
        (100, None)
    }
    with pytest.raises(CheckpointRefusedError, match="more than 150"), source.open(refused.locator):
        pass


def test_of_older_versions_a_look_lists_some_and_soon_all(store: Store, tmp_path: Path) -> None:
    pushes = [f"step-{number:02}" for number in range(NEWEST + 2 * IN_TURN)]
    for name in pushes:
        store.put(name)
    source = source_at(store.url, tmp_path)
    found = source.scan()
    assert store.listed == Counter(pushes)  # by the first look all of them
    oldest_first = [one.name for one in found]
    seen = taken_in(found)
    store.listed.clear()
    assert [one.name for one in source.scan(seen)] == oldest_first
    assert len(store.listed) == NEWEST + IN_TURN
    assert set(oldest_first[-NEWEST:]) <= store.listed.keys()
    source.scan(seen)
    assert store.listed == Counter(oldest_first) + Counter(oldest_first[-NEWEST:])


def test_what_is_no_version_yet_is_listed_by_every_look(store: Store, tmp_path: Path) -> None:
    for number in range(NEWEST + 3 * IN_TURN):
        store.put(f"step-{number:02}")
    source = source_at(store.url, tmp_path)
    found = source.scan()
    oldest, second, third = (Place(one.name, one.locator) for one in found[:3])
    seen = taken_in(found) | {oldest: Fate.PENDING, second: Fate.REFUSED}
    del seen[third]
    store.listed.clear()
    for _ in range(4):
        source.scan(seen)
    assert {store.listed[place.name] for place in (oldest, second, third)} == {4}


def test_a_push_that_is_removed_is_gone_at_the_next_look(store: Store, tmp_path: Path) -> None:
    for number in range(NEWEST + 3 * IN_TURN):
        store.put(f"step-{number:02}")
    source = source_at(store.url, tmp_path)
    found = source.scan()
    fsspec.filesystem("memory").rm(f"{store.url}/{found[0].name}", recursive=True)
    assert [one.name for one in source.scan(taken_in(found))] == [one.name for one in found[1:]]


def test_an_old_version_that_is_overwritten_in_place_is_another_one(
    store: Store, tmp_path: Path, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.sources.object_store.NEWEST", 1)
    monkeypatch.setattr("monitor.sources.object_store.IN_TURN", 1)
    names = ["v1", "good-2", "good-3", "good-4"]
    for seed, name in enumerate(names):
        store.upload(write_checkpoint(tmp_path / name, seed))
    line = WatchedLine(
        tmp_path / "data", sessions, {"objects": {"url": store.url}, "trusted": "v1"}
    )
    watch = LineWatch(line.settings.lines[0], line.settings, line.around)
    watch.look()
    before = line.version("v1").content_digest
    store.upload(write_checkpoint(tmp_path / "v1", 9))
    for _ in range(3):  # there are three older ones
        watch.look()
    with sessions() as session:
        digests = {version.content_digest for version in watch.present(session) if version}
    assert before not in digests and len(digests) == 4


def test_an_older_push_that_failed_is_taken_in_by_the_next_process(
    store: Store, tmp_path: Path, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(["v1", "good-2", "good-3"]):
        store.upload(write_checkpoint(tmp_path / name, seed))
    line = WatchedLine(
        tmp_path / "data", sessions, {"objects": {"url": store.url}, "trusted": "v1"}
    )
    memory = fsspec.filesystem("memory")
    read = memory.cat_file

    def fail(path: str, **kwargs: Any) -> Any:
        if "good-2/model" in path:
            raise ConnectionResetError("reset by peer")
        return read(path, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(memory, "cat_file", fail)
        assert line.watch() == 3
    assert line.states() == {"v1": "trusted", "good-2": "undecided", "good-3": "passed"}
    assert "not taken in yet: " in str(line.rows()["good-2"].reason)
    assert line.watch() == 0
    assert line.states()["good-2"] == "passed"
