"""Artifacts are there as a whole or not at all."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workers.errors import StoreError
from workers.keeping.store import LocalStore


def files_below(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()]


def test_an_artifact_appears_when_its_block_ends(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with store.put("diffs/a/probe") as directory:
        (directory / "result.json").write_text("{}")
        assert store.get("diffs/a/probe") is None
    place = store.get("diffs/a/probe")
    assert place is not None and (place / "result.json").read_text() == "{}"


def test_nothing_is_left_of_a_block_that_fails(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with pytest.raises(RuntimeError, match="no"), store.put("a") as directory:
        (directory / "half").write_text("written")
        raise RuntimeError("no")
    assert store.get("a") is None
    assert files_below(tmp_path) == []


def test_the_first_of_two_writers_wins(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with store.put("a") as slow:
        (slow / "who").write_text("slow")
        with store.put("a") as fast:
            (fast / "who").write_text("fast")
    place = store.get("a")
    assert place is not None and (place / "who").read_text() == "fast"
    assert len(files_below(tmp_path)) == 1


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with pytest.raises(StoreError, match=f"{tmp_path}: no room"), store.put("a") as directory:
        (directory / "big").symlink_to("/dev/full")
        (directory / "big").write_text("more than fits")
    assert store.get("a") is None


def test_a_store_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = LocalStore(tmp_path / "file")
    with pytest.raises(StoreError, match="can't be kept there"), store.put("a"):
        pass


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    script = (
        "import os, sys, time; from pathlib import Path\n"
        "from workers.keeping.store import LocalStore\n"
        "with LocalStore(Path(sys.argv[1])).put('a') as directory:\n"
        "    (directory / 'half').write_text('written')\n"
        "    print('ready', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    assert len(files_below(tmp_path)) == 1
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    store = LocalStore(tmp_path)
    assert store.get("a") is None
    assert files_below(tmp_path) == []


def test_what_a_process_elsewhere_left_is_removed_when_nobody_has_touched_it_for_a_month(
    tmp_path: Path,
) -> None:
    half = tmp_path / "scratch" / "elsewhere:7:1:boot:4026531836" / "b" / "half"
    half.parent.mkdir(parents=True)
    half.write_text("written")
    long_ago = time.time() - 31 * 86_400
    for path in (half.parent.parent, half):
        os.utime(path, (long_ago, long_ago))
    LocalStore(tmp_path)
    assert half.is_file()
    os.utime(half.parent, (long_ago, long_ago))
    LocalStore(tmp_path)
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("name", [".DS_Store", "a:b:c", f"{socket.gethostname()}:x:y"])
def test_what_no_process_left_is_ignored(tmp_path: Path, name: str) -> None:
    (tmp_path / "scratch" / name).mkdir(parents=True)
    with LocalStore(tmp_path).put("a"):
        pass
    assert LocalStore(tmp_path).get("a") is not None
    assert (tmp_path / "scratch" / name).is_dir()


def test_work_survives_until_it_is_ended(tmp_path: Path) -> None:
    (LocalStore(tmp_path).work("diffs/a/train-0") / "state").write_text("step 3")
    store = LocalStore(tmp_path)
    assert (store.work("diffs/a/train-0") / "state").read_text() == "step 3"
    store.end_work("diffs/a/train-0")
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("key", ["", "../a", "a/../b", "/a", "a//b", "a/"])
def test_a_key_can_not_lead_elsewhere(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        LocalStore(tmp_path).get(key)
