"""Lines in object stores: pushes that arrive object by object, on a real S3 server and without."""

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from deploy.bench.made_up import write_checkpoint
from monitor.database.schema import Observation, Trust, Version
from monitor.errors import CheckpointChangedError, SourceError
from monitor.settings.lines import LineSettings
from monitor.sources.fetching import fetching, source_of
from monitor.sources.locate import find_files
from monitor.sources.object_client import ObjectClient, StoredObject
from tests.monitor.conftest import Sessions
from tests.monitor.watching.watched import WatchedLine


@pytest.fixture(params=["s3", "memory", "file"])
def objects(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The settings of an empty prefix."""
    place = uuid.uuid4().hex
    if request.param != "s3":
        root = f"memory://{place}" if request.param == "memory" else f"file://{tmp_path}/objects"
        return {"url": root}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    options = {"endpoint_url": request.getfixturevalue("s3")}
    fsspec.filesystem("s3", **options).mkdir(place)
    return {"url": f"s3://{place}/chat", "options": options}


S3 = pytest.mark.parametrize("objects", ["s3"], indirect=True)
VERSIONED = {"Status": "Enabled"}
Put = Callable[[Path, str], None]


@pytest.fixture
def put(objects: dict[str, Any]) -> Put:
    """Upload the files of a directory as the push of a name."""
    store, root = fsspec.core.url_to_fs(objects["url"], **objects.get("options", {}))

    def upload(path: Path, name: str) -> None:
        for file in sorted(path.iterdir(), key=lambda file: file.name == "READY"):
            store.makedirs(f"{root}/{name}", exist_ok=True)
            store.put_file(str(file), f"{root}/{name}/{file.name}")

    return upload


@pytest.fixture
def line(objects: dict[str, Any], put: Put, tmp_path: Path, sessions: Sessions) -> WatchedLine:
    put(write_checkpoint(tmp_path / "v1", 0), "v1")
    settings = {"objects": objects, "trusted": "v1"}
    return WatchedLine(tmp_path / "data", sessions, settings)


def test_pushes_are_compared_and_not_read_again(
    line: WatchedLine, put: Put, tmp_path: Path
) -> None:
    put(write_checkpoint(tmp_path / "good-2", 1, shards=2), "good-2")
    put(write_checkpoint(tmp_path / "bad-3", 2), "bad-3")
    put(write_checkpoint(tmp_path / "bad-3", 2), "step.tmp")
    assert line.watch() == 1
    assert line.states() == {"v1": "trusted", "good-2": "passed", "bad-3": "flagged"}
    blobs = line.settings.data_dir / "downloads" / "blobs"
    before = {blob.name: blob.stat().st_ctime_ns for blob in blobs.iterdir()}
    counts = line.count(Observation)
    assert line.watch() == 0
    assert {blob.name: blob.stat().st_ctime_ns for blob in blobs.iterdir()} == before
    assert line.count(Observation) == counts


def test_a_push_is_read_when_its_marker_has_come(
    line: WatchedLine, put: Put, tmp_path: Path
) -> None:
    line.configure(ready_marker="READY")
    pushed = write_checkpoint(tmp_path / "good-2", 1)
    put(pushed, "good-2")
    (tmp_path / "v1" / "READY").touch()
    put(tmp_path / "v1", "v1")
    assert line.watch() == 3
    assert "marker 'READY' is not there" in str(line.rows()["good-2"].reason)
    (pushed / "READY").touch()
    put(pushed, "good-2")
    assert line.watch() == 0


def test_a_push_that_still_changes_is_waited_for(
    line: WatchedLine, put: Put, tmp_path: Path
) -> None:
    line.clock.now = time.time()
    line.configure(quiet_seconds=600.0, quiet_polls=3)
    put(write_checkpoint(tmp_path / "good-2", 1), "good-2")
    assert line.watch() == 0
    assert line.clock.slept == [200.0] * 3


def test_an_overwritten_push_is_another_version(
    line: WatchedLine, put: Put, tmp_path: Path
) -> None:
    put(write_checkpoint(tmp_path / "good-2", 1), "good-2")
    line.watch()
    old = line.version("good-2")
    put(write_checkpoint(tmp_path / "good-2", 5), "good-2")
    with fetching(line.settings), pytest.raises(CheckpointChangedError, match="holds other files"):
        find_files(line.sessions, old)
    assert line.watch() == 0
    assert len(line.worker.ran) == 2
    assert line.version("v1").state == Trust.TRUSTED


@S3
def test_an_object_overwritten_in_the_middle_is_thrown_away(
    line: WatchedLine, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.sources.object_client._CHUNK", 64)
    pushed = write_checkpoint(tmp_path / "good-2", 1)
    put(pushed, "good-2")
    source = source_of(line.settings.lines[0], line.settings)
    [seen] = [one for one in source.scan() if one.name == "good-2"]
    store = fsspec.filesystem("s3", **line.settings.lines[0].source.options)
    read = store.cat_file
    calls = 0

    def overwrite_after_two(*args: Any, **kwargs: Any) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 3:
            put(write_checkpoint(tmp_path / "other", 2), "good-2")
        return bytes(read(*args, **kwargs))

    with monkeypatch.context() as patched:
        patched.setattr(store, "cat_file", overwrite_after_two)
        with pytest.raises(SourceError, match="was overwritten"), source.open(seen.locator):
            pass
    with source.open(seen.locator) as path:
        copy = (path / "model.safetensors").read_bytes()
    assert copy == (tmp_path / "other" / "model.safetensors").read_bytes()


@S3
def test_a_bucket_with_versions_of_objects_is_read(
    line: WatchedLine, put: Put, objects: dict[str, Any], tmp_path: Path
) -> None:
    store = fsspec.filesystem("s3", **objects["options"])
    bucket = objects["url"].split("/")[2]
    store.call_s3("put_bucket_versioning", Bucket=bucket, VersioningConfiguration=VERSIONED)
    put(write_checkpoint(tmp_path / "good-2", 1), "good-2")
    assert line.watch() == 0
    assert line.states()["good-2"] == "passed"


def test_a_time_is_the_same_in_a_listing_and_of_the_object_itself() -> None:
    """MinIO lists milliseconds; the object's own header has whole seconds."""
    listed = {"size": 1, "ETag": "a", "LastModified": "2026-01-02T03:04:05.678+00:00"}
    itself = {"size": 1, "ETag": "a", "LastModified": "2026-01-02T03:04:05+00:00"}
    assert StoredObject.of("a", listed).tag == StoredObject.of("a", itself).tag
    later = {**itself, "LastModified": "2026-01-02T03:04:06+00:00"}
    assert StoredObject.of("a", listed).tag != StoredObject.of("a", later).tag


@S3
def test_a_store_that_cannot_be_read_is_named(line: WatchedLine, objects: dict[str, Any]) -> None:
    line.configure(objects={**objects, "url": "s3://no-such-bucket-here/chat"})
    assert line.watch() == 3
    assert "s3://no-such-bucket-here/chat: can't be read" in line.said[-1]
    line.configure(objects={**objects, "options": {"endpoint_url": "http://127.0.0.1:9"}})
    assert line.watch() == 3
    assert "check objects.url" in line.said[-1]


@pytest.mark.parametrize("objects", ["file"], indirect=True)
def test_links_are_not_followed(line: WatchedLine, tmp_path: Path, put: Put) -> None:
    pushed = write_checkpoint(tmp_path / "objects" / "linked", 3)
    outside = tmp_path / "secret.json"
    (pushed / "tokenizer.json").rename(outside)
    os.symlink(outside, pushed / "tokenizer.json")
    os.symlink(write_checkpoint(tmp_path / "elsewhere", 4), tmp_path / "objects" / "evil")
    assert line.watch() == 3
    assert "is behind a symbolic link" in str(line.rows()["linked"].reason)
    assert line.count(Version) == 1


@pytest.mark.parametrize("objects", ["memory"], indirect=True)
def test_a_missing_prefix_is_no_empty_line(line: WatchedLine) -> None:
    line.configure(objects={"url": "memory://nobody/ever"})
    assert line.watch() == 3
    assert "it is not there" in line.said[-1]


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ({"url": "ftp://host/x"}, "must be s3://"),
        ({"url": "s3://"}, "must be s3://"),
        ({"url": "s3://key:secret@bucket/x"}, "must hold no name or password"),
        ({"url": "s3://b/x", "options": {"secret": "hunter2"}}, "must not lie in the settings"),
    ],
)
def test_settings_of_a_store_are_checked(objects: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LineSettings.model_validate({"name": "chat", "objects": objects})


def test_a_push_that_cannot_be_listed_keeps_nobody_from_the_others(
    line: WatchedLine, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("good-2", "good-3", "good-4"), start=1):
        put(write_checkpoint(tmp_path / name, seed), name)
        if name == "good-2":
            assert line.watch() == 0
    list_objects, seen = ObjectClient.objects, line.count(Observation)

    def fail(client: ObjectClient, locator: str) -> Any:
        if locator.endswith(("good-2", "good-3")):
            raise SourceError(f"{locator}: can't be read (503 Slow Down)")
        return list_objects(client, locator)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectClient, "objects", fail)
        assert line.watch() == 3
    assert line.states() == {
        **dict.fromkeys(("good-2", "good-4"), "passed"),
        **{"v1": "trusted", "good-3": "undecided"},
    }
    assert "not taken in yet" in str(line.rows()["good-3"].reason)
    assert line.count(Observation) == seen + 2
    assert line.watch() == 0 and line.states()["good-3"] == "passed"
