"""Downloads over real HTTP from a server that resumes, cuts, corrupts and fails."""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.bench.made_up import write_checkpoint
from monitor.checkpoints.checkpoint import inspect_checkpoint
from monitor.checkpoints.identity import identify
from monitor.checkpoints.listing import list_directory
from monitor.errors import CancelledError, CheckpointRefusedError, SourceError
from monitor.pace import FETCHED, QUEUEING
from monitor.sources.downloads import DownloadCache, Read
from monitor.sources.remote_file import RemoteFile, blob_name


class Store(http.server.ThreadingHTTPServer):
    """Serves `content` by path; `cut` is the most bytes of one answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content: dict[str, bytes] = {}
        self.cut = 1 << 30
        self.status = 200
        self.asked: list[tuple[str, int]] = []

    def put(self, path: str, content: bytes) -> RemoteFile:
        self.content[path] = content
        return RemoteFile(path, len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")

    def read(self, file: RemoteFile, offset: int) -> Iterator[bytes]:
        url = f"http://127.0.0.1:{self.server_port}/{file.path}"
        request = urllib.request.Request(url, headers={"Range": f"bytes={offset}-"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            while chunk := answer.read(7):
                yield chunk


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Store

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        offset = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.server.asked.append((path, offset))
        self.send_response(self.server.status)
        self.end_headers()
        if self.server.status == 200:
            self.wfile.write(self.server.content[path][offset:][: self.server.cut])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path) -> DownloadCache:
    return DownloadCache(tmp_path / "cache", 200)


def fetch(cache: DownloadCache, place: str, files: list[RemoteFile], read: Read) -> Path:
    with cache.fetched(place, files, read) as path:
        return path


def test_a_downloaded_checkpoint_is_the_published_one(tmp_path: Path, store: Store) -> None:
    published = write_checkpoint(tmp_path / "v1", shards=2)
    (published / "train.py").write_text("raise SystemExit")
    (published / "optimizer.pt").write_bytes(b"state")
    files = [store.put(file.name, file.read_bytes()) for file in published.iterdir()]
    cache = DownloadCache(tmp_path / "cache", 1 << 20)
    path = fetch(cache, "v1", files, store.read)
    found = inspect_checkpoint(path, list_directory(path, root=cache.directory))
    assert identify(found) == identify(inspect_checkpoint(published))
    assert not {"train.py", "optimizer.pt"} & {name for name, _ in store.asked}


def test_a_file_is_downloaded_once_for_all_pushes(store: Store, cache: DownloadCache) -> None:
    file = store.put("config.json", b"x" * 20)
    first = fetch(cache, "v1", [file], store.read)
    second = fetch(cache, "v2", [file._replace(path="vocab.json")], store.read)
    assert store.asked == [("config.json", 0)]
    assert (first / "config.json").read_bytes() == (second / "vocab.json").read_bytes()


def test_answers_that_are_cut_are_continued(store: Store, cache: DownloadCache) -> None:
    file = store.put("config.json", bytes(range(100)))
    store.cut = 40
    path = fetch(cache, "v1", [file], store.read)
    assert (path / "config.json").read_bytes() == bytes(range(100))
    assert [offset for _, offset in store.asked] == [0, 40, 80]


def test_what_arrived_before_a_failure_is_not_read_again(
    store: Store, cache: DownloadCache
) -> None:
    file = store.put("config.json", bytes(range(100)))

    def read_some(file: RemoteFile, offset: int) -> Iterator[bytes]:
        yield bytes(range(30))
        store.status = 503
        yield from store.read(file, offset)

    with pytest.raises(SourceError, match=r"config.json: download stopped at 30 of 100"):
        fetch(cache, "v1", [file], read_some)
    store.status = 200
    path = fetch(cache, "v1", [file], store.read)
    assert (path / "config.json").read_bytes() == bytes(range(100))
    assert store.asked[-1] == ("config.json", 30)


def test_a_download_tells_how_far_it_is_and_goes_on_where_it_was_ended(
    store: Store, tmp_path: Path
) -> None:
    files = [store.put("config.json", b"c" * 50), store.put("model.safetensors", b"m" * 100)]
    told: list[tuple[str, int, int]] = []

    def until_half(what: str, done: int, total: int) -> None:
        told.append((what, done, total))
        if done > 85:
            raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        fetch(DownloadCache(tmp_path / "cache", 200, until_half), "v1", files, store.read)
    assert told[0] == (FETCHED, 0, 150) and told[-1] == (FETCHED, 50 + 42, 150)
    told.clear()
    paced = DownloadCache(tmp_path / "cache", 200, lambda *step: told.append(step))
    assert (fetch(paced, "v1", files, store.read) / "model.safetensors").read_bytes() == b"m" * 100
    assert store.asked == [("config.json", 0), ("model.safetensors", 0), ("model.safetensors", 42)]
    assert told[0] == (FETCHED, 50 + 42, 150) and told[-1] == (FETCHED, 150, 150)


def test_who_waits_for_another_download_can_be_ended(store: Store, tmp_path: Path) -> None:
    file = store.put("config.json", b"x" * 20)

    def ended(what: str, done: int, total: int) -> None:
        raise CancelledError(what)

    def read(file: RemoteFile, offset: int) -> Iterator[bytes]:
        with pytest.raises(CancelledError, match=QUEUEING):
            fetch(DownloadCache(tmp_path / "cache", 200, ended), "v2", [file], store.read)
        yield b"x" * 20

    fetch(DownloadCache(tmp_path / "cache", 200), "v1", [file], read)


@pytest.mark.parametrize("content", [b"y" * 20, b"x" * 21, b"x" * 2000])
def test_other_bytes_than_listed_are_thrown_away(
    store: Store, cache: DownloadCache, content: bytes
) -> None:
    file = store.put("config.json", b"x" * 20)
    store.put("config.json", content)
    with pytest.raises(SourceError, match=r"config.json: what was downloaded is not"):
        fetch(cache, "v1", [file], store.read)
    assert list((cache.directory / "blobs").iterdir()) == []
    store.put("config.json", b"x" * 20)
    assert (fetch(cache, "v1", [file], store.read) / "config.json").read_bytes() == b"x" * 20


def test_a_file_that_ends_early_is_no_download(store: Store, cache: DownloadCache) -> None:
    file = store.put("config.json", b"x" * 20)
    store.put("config.json", b"x" * 19)
    with pytest.raises(SourceError, match="stopped at 19 of 20"):
        fetch(cache, "v1", [file], store.read)


@pytest.mark.parametrize(
    "name", ["../config.json", "/config.json", "a/../../x", "a\\b", "a//b", "./x", "a\nb"]
)
def test_names_never_leave_the_push(store: Store, cache: DownloadCache, name: str) -> None:
    with pytest.raises(CheckpointRefusedError, match="rename it"):
        fetch(cache, "v1", [RemoteFile(name, 1, f"sha256:{0:064}")], store.read)
    assert store.asked == []


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:" + "../" * 20 + "abcd", "git:" + "0" * 63 + "G", "md5:00"]
)
def test_a_digest_is_no_path(store: Store, cache: DownloadCache, digest: str) -> None:
    with pytest.raises(SourceError, match="no usable digest"):
        fetch(cache, "v1", [RemoteFile("config.json", 1, digest)], store.read)


def test_the_push_fetched_longest_ago_makes_room(store: Store, cache: DownloadCache) -> None:
    shared = store.put("vocab.json", b"s" * 30)
    files = [store.put(f"{i}.safetensors", bytes([i]) * 80) for i in range(3)]
    for i, file in enumerate(files):
        fetch(cache, f"v{i}", [shared, file], store.read)
    blobs = {blob.name: blob.stat().st_size for blob in (cache.directory / "blobs").iterdir()}
    assert set(blobs) == {blob_name(file) for file in (shared, files[1], files[2])}
    assert sum(blobs.values()) <= cache.max_bytes
    assert [name for name, _ in store.asked].count("vocab.json") == 1


def test_a_push_above_the_limit_is_refused_unread(store: Store, cache: DownloadCache) -> None:
    file = store.put("model.safetensors", b"x" * 201)
    with pytest.raises(CheckpointRefusedError, match=r"201 bytes, .* may take 200"):
        fetch(cache, "v1", [file], store.read)
    assert store.asked == []


def test_what_is_open_is_not_dropped(store: Store, cache: DownloadCache) -> None:
    files = [store.put(f"{i}.safetensors", bytes([i]) * 80) for i in range(3)]
    with cache.fetched("v0", [files[0]], store.read) as first:
        with (
            cache.fetched("v1", [files[1]], store.read),
            pytest.raises(SourceError, match="is in use; raise download_bytes"),
        ):
            fetch(cache, "v2", [files[2]], store.read)
        fetch(cache, "v2", [files[2]], store.read)
        assert (first / "0.safetensors").read_bytes() == bytes([0]) * 80
    fetch(cache, "v1", [files[1]], store.read)
    assert not first.exists()


def test_a_lock_ends_with_its_process(store: Store, cache: DownloadCache) -> None:
    files = [store.put(f"{i}.safetensors", bytes([i]) * 150) for i in range(2)]
    script = (
        "import os, sys; from pathlib import Path\n"
        "from monitor.sources.downloads import DownloadCache\n"
        "from monitor.sources.remote_file import RemoteFile\n"
        "cache, file = DownloadCache(Path(sys.argv[1]), 200), RemoteFile(*eval(sys.argv[2]))\n"
        "with cache.fetched('v0', [file], lambda *_: [bytes(150)]): os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", script, str(cache.directory), repr(tuple(files[0]))]
    killed = subprocess.run(command, cwd=Path(__file__).parents[3])
    assert killed.returncode == -9 and len(list((cache.directory / "blobs").iterdir())) == 1
    fetch(cache, "v1", [files[1]], store.read)


def test_a_killed_download_goes_on_where_it_was(store: Store, cache: DownloadCache) -> None:
    file = store.put("config.json", bytes(range(100)))
    script = (
        "import os, sys; from pathlib import Path\n"
        "from monitor.sources.downloads import DownloadCache\n"
        "from monitor.sources.remote_file import RemoteFile\n"
        "cache, file = DownloadCache(Path(sys.argv[1]), 200), RemoteFile(*eval(sys.argv[2]))\n"
        "def read(file, offset):\n"
        "    if offset: os.kill(os.getpid(), 9)\n"
        "    yield bytes(range(30))\n"
        "with cache.fetched('v0', [file], read): pass\n"
    )
    command = [sys.executable, "-c", script, str(cache.directory), repr(tuple(file))]
    assert subprocess.run(command, cwd=Path(__file__).parents[3]).returncode == -9
    [part] = (cache.directory / "blobs").iterdir()
    assert part.stat().st_size == 30
    path = fetch(cache, "v0", [file], store.read)
    assert (path / "config.json").read_bytes() == bytes(range(100))
    assert store.asked == [("config.json", 30)]


def test_git_names_of_blobs_are_checked(store: Store, cache: DownloadCache) -> None:
    content = b"{}"
    name = hashlib.sha1(b"blob 2\0" + content).hexdigest()
    file = store.put("config.json", content)._replace(digest=f"git:{name}")
    assert (fetch(cache, "v1", [file], store.read) / "config.json").read_bytes() == content
    store.put("config.json", b"[]")
    with pytest.raises(SourceError, match="is not what the store lists"):
        fetch(cache, "v2", [file._replace(digest=f"git:{0:040}")], store.read)


def test_a_reader_that_finds_out_at_its_end_leaves_nothing(
    store: Store, cache: DownloadCache
) -> None:
    file = RemoteFile("config.json", 4, "tag:one")

    def overwritten(file: RemoteFile, offset: int) -> Iterator[bytes]:
        yield b"othe"
        raise SourceError("it was overwritten")

    with pytest.raises(SourceError, match="it was overwritten"):
        fetch(cache, "v1", [file], overwritten)
    path = fetch(cache, "v1", [file], lambda file, offset: [b"good"[offset:]])
    assert (path / "config.json").read_bytes() == b"good"


@pytest.mark.parametrize("spoiled", [b"", b"x" * 19, b"y" * 20])
def test_what_was_spoiled_on_the_disk_is_fetched_again(
    store: Store, cache: DownloadCache, spoiled: bytes
) -> None:
    file = store.put("config.json", b"x" * 20)
    path = fetch(cache, "v1", [file], store.read)
    (cache.directory / "blobs" / blob_name(file)).write_bytes(spoiled)
    path = fetch(cache, "v1", [file], store.read)
    assert (path / "config.json").read_bytes() == b"x" * 20
    fetch(cache, "v2", [file], store.read)
    assert store.asked == [("config.json", 0)] * 2


def test_a_file_is_on_the_disk_before_it_has_its_name(
    store: Store, cache: DownloadCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = store.put("config.json", b"x" * 20)
    blob = cache.directory / "blobs" / blob_name(file)
    synced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.append((Path(os.readlink(f"/proc/self/fd/{handle}")).name, blob.exists()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    fetch(cache, "v1", [file], store.read)
    assert synced == [(f"{blob.name}.part", False), ("blobs", True)]


def test_what_the_disk_has_no_room_for_is_not_begun(tmp_path: Path, store: Store) -> None:
    cache = DownloadCache(tmp_path / "cache", 1 << 62)
    old = fetch(cache, "old", [store.put("config.json", b"old")], store.read)
    store.asked.clear()
    huge = [RemoteFile("model.safetensors", 1 << 60, f"sha256:{'0' * 64}")]
    with pytest.raises(SourceError, match="left on its disk; free some space or move data_dir"):
        fetch(cache, "huge", huge, store.read)
    assert store.asked == [] and (old / "config.json").read_bytes() == b"old"
