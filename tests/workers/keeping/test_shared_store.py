"""Bundles in a store that hosts share are there as a whole or not at all: on a real S3 server, and
on a mounted file system."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import pytest

from monitor.settings.store import StoreSettings
from tests.workers.service import ROOT
from workers.errors import StoreError
from workers.keeping.shared_store import DamagedBundleError, SharedStore

NAME = "pair/artifacts/diffs/pair/train-0/1"


@pytest.fixture(params=["s3", "file"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> StoreSettings:
    if request.param == "file":
        return StoreSettings(url=f"file://{tmp_path}/mounted")
    return request.getfixturevalue("shared_settings")  # type: ignore[no-any-return]


S3 = pytest.mark.parametrize("settings", ["s3"], indirect=True)


@pytest.fixture
def shared(settings: StoreSettings) -> SharedStore:
    return SharedStore(settings)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A directory with files, one of them hidden."""
    directory = tmp_path / "written"
    (directory / "model").mkdir(parents=True)
    (directory / "result.json").write_text("{}")
    (directory / "model" / "state.safetensors").write_bytes(bytes(range(256)) * 1000)
    (directory / ".scratch").write_text("half")
    return directory


def opened(settings: StoreSettings) -> tuple[Any, str]:
    """The very client that a SharedStore uses, since clients are kept by their arguments."""
    assert settings.url is not None
    making = {"auto_mkdir": True} if settings.url.startswith("file") else {}
    store, root = fsspec.core.url_to_fs(settings.url, **making, **settings.options)
    store.invalidate_cache()
    return store, root


def objects(settings: StoreSettings) -> list[str]:
    store, root = opened(settings)
    return [path.removeprefix(f"{root}/") for path in store.find(root)]


def fetched(shared: SharedStore, name: str, directory: Path) -> dict[str, bytes] | None:
    manifest = shared.manifest(name)
    if manifest is None:
        return None
    shared.fetch(name, manifest, directory)
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def test_what_was_put_is_fetched_by_another_host(
    settings: StoreSettings, shared: SharedStore, written: Path, tmp_path: Path
) -> None:
    shared.check()
    assert shared.names("pair") == [] and shared.manifest(NAME) is None
    shared.put(NAME, written)
    other = SharedStore(settings)
    assert other.names("pair") == [NAME] and other.names("pai") == []
    assert fetched(other, NAME, tmp_path / "other") == {
        "result.json": b"{}",
        "model/state.safetensors": bytes(range(256)) * 1000,
    }


def test_a_bundle_is_replaced_and_removed_without_a_trace(
    settings: StoreSettings, shared: SharedStore, written: Path, tmp_path: Path
) -> None:
    first = shared.put(NAME, written)
    (written / "model" / "state.safetensors").unlink()
    (written / "result.json").write_text("[]")
    second = shared.put(NAME, written)
    assert first.id != second.id
    assert fetched(shared, NAME, tmp_path / "other") == {"result.json": b"[]"}
    assert len(objects(settings)) == 2
    shared.remove(NAME)
    shared.remove(NAME)
    assert objects(settings) == [] and shared.names("pair") == []


@S3
def test_a_write_that_is_killed_in_the_middle_is_never_seen(
    settings: StoreSettings, shared: SharedStore, written: Path, tmp_path: Path
) -> None:
    script = (
        "import sys, time; from pathlib import Path; from s3fs import S3FileSystem\n"
        "from monitor.settings.store import StoreSettings\n"
        "from workers.keeping.shared_store import SharedStore\n"
        "put = S3FileSystem.put_file\n"
        "def slow(self, source, target, **kwargs):\n"
        "    if target.endswith('result.json'):\n"
        "        print('ready', flush=True); time.sleep(60)\n"
        "    put(self, source, target, **kwargs)\n"
        "S3FileSystem.put_file = slow\n"
        "settings = StoreSettings.model_validate_json(sys.argv[1])\n"
        "SharedStore(settings).put(sys.argv[2], Path(sys.argv[3]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, settings.model_dump_json(), NAME, str(written)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(objects(settings)) == 1  # what arrived before
    assert shared.names("pair") == [] and shared.manifest(NAME) is None
    shared.put(NAME, written)
    assert fetched(shared, NAME, tmp_path / "other") is not None


def test_a_write_that_fails_leaves_the_earlier_bundle(
    settings: StoreSettings,
    shared: SharedStore,
    written: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared.put(NAME, written)
    before = objects(settings)

    def cut_off(*_: Any, **__: Any) -> None:
        raise ConnectionResetError("the connection was reset")

    with monkeypatch.context() as patched:
        patched.setattr(opened(settings)[0], "pipe_file", cut_off)
        with pytest.raises(StoreError, match="the connection was reset"):
            shared.put(NAME, written)
    assert objects(settings) == before
    assert fetched(shared, NAME, tmp_path / "other") is not None


@pytest.mark.parametrize("what", ["missing", "damaged", "shortened"])
def test_an_object_that_is_not_what_was_written_is_named(
    settings: StoreSettings, shared: SharedStore, written: Path, tmp_path: Path, what: str
) -> None:
    shared.put(NAME, written)
    store, root = opened(settings)
    [path] = [path for path in store.find(root) if path.endswith(".safetensors")]
    content = store.cat_file(path)
    if what == "missing":
        store.rm_file(path)
    else:
        store.pipe_file(path, content[:-1] if what == "shortened" else b"\1" + content[1:])
    expected = "is missing" if what == "missing" else "is damaged"
    with pytest.raises(DamagedBundleError, match=f"model/state.safetensors {expected}"):
        fetched(shared, NAME, tmp_path / "other")
    shared.put(NAME, written)
    assert fetched(shared, NAME, tmp_path / "another") is not None


@pytest.mark.parametrize(
    "change",
    [
        {"files": [{"path": "../../escaped", "size": 2, "sha256": "0"}]},
        {"files": [{"path": "/etc/escaped", "size": 2, "sha256": "0"}]},
        {"files": [{"path": ".origin", "size": 2, "sha256": "0"}]},
        {"id": "../other"},
        {"files": None},
    ],
)
@pytest.mark.parametrize("settings", ["file"], indirect=True)
def test_a_manifest_leads_nowhere_else(
    settings: StoreSettings, shared: SharedStore, written: Path, change: dict[str, Any]
) -> None:
    manifest = shared.put(NAME, written)
    store, root = opened(settings)
    path = f"{root}/{NAME}/manifest.json"
    store.pipe_file(path, json.dumps(manifest.model_dump() | change).encode())
    with pytest.raises(DamagedBundleError, match="its manifest can't be read"):
        shared.manifest(NAME)
    assert shared.names("pair") == [NAME]
    shared.put(NAME, written)
    assert shared.manifest(NAME) is not None


@pytest.mark.parametrize("settings", ["file"], indirect=True)
def test_a_name_leads_nowhere_else(
    settings: StoreSettings, shared: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object store may hold any name, whoever wrote it there."""
    store, root = opened(settings)
    there = [f"{root}/pair/work/{name}/manifest.json" for name in ("../../x", ".hidden", "x/1")]
    monkeypatch.setattr(store, "find", lambda _: there)
    assert shared.names("pair") == ["pair/work/x/1"]


@S3
def test_a_store_that_is_not_there_is_named(settings: StoreSettings) -> None:
    away = settings.model_copy(update={"url": "s3://no-such-bucket-here/x"})
    with pytest.raises(StoreError, match=r"s3://no-such-bucket-here/x: .*check store\.url"):
        SharedStore(away).check()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"url": "memory://x"}, "must be s3://"),
        ({"url": "s3://key:secret@bucket/x"}, "must hold no name or password"),
        (
            {"url": "s3://b", "options": {"client_kwargs": {"aws_secret_access_key": "hunter2"}}},
            "must not lie in the settings",
        ),
    ],
)
def test_settings_are_checked(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StoreSettings.model_validate(given)
