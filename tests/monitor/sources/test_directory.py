"""What a directory shows as versions, and a push by a writer that takes its time."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.bench.made_up import write_checkpoint
from monitor.checkpoints.listing import list_directory
from monitor.errors import SourceError
from monitor.sources.directory import DirectorySource
from monitor.sources.readiness import Ready, Rule, look, readiness

SLOW_WRITER = """
import sys
from pathlib import Path
source, target = map(Path, sys.argv[1:])
target.mkdir()
for file in sorted(source.iterdir()):
    content = file.read_bytes()
    step = len(content) // 3 + 1
    with (target / file.name).open("wb", buffering=0) as stream:
        for begin in range(0, len(content), step):
            stream.write(content[begin : begin + step])
            print("wrote", flush=True)
            sys.stdin.readline()
(target / "READY").touch()
"""


def test_subdirectories_that_match_are_versions_in_order_of_time(tmp_path: Path) -> None:
    for second, name in enumerate(["step-10", "step-9", "step-11"]):
        path = write_checkpoint(tmp_path / name)
        for file in path.iterdir():
            os.utime(file, (second, second))
    for name in ("step-tmp.tmp", "tmp-step-1", "step-7-unfinished", ".step-3", "logs"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-file").touch()
    source = DirectorySource(tmp_path, "*step-*")
    seen = list(source.scan())
    assert [observation.name for observation in seen] == ["step-10", "step-9", "step-11"]
    with source.open(seen[0].locator) as path:
        assert path == tmp_path / "step-10"
    assert seen[0].listing.newest() == 0.0 and seen[2].listing.newest() == 2.0


def test_what_cannot_be_read_is_told_by_name_and_keeps_nobody_from_the_others(
    tmp_path: Path,
) -> None:
    write_checkpoint(tmp_path / "v1")
    (tmp_path / "loop").symlink_to("loop")
    late = write_checkpoint(tmp_path / "late") / "config.json"
    os.utime(late, ns=(0, 2**63))  # a moment in 2262, which no database can keep
    seen = {one.name: one.listing.problem for one in DirectorySource(tmp_path).scan()}
    assert seen["v1"] is None
    assert "can't be" in str(seen["loop"]) or "not there" in str(seen["loop"])
    assert "'config.json' was modified at a time" in str(seen["late"])


def test_links_between_versions_stay_inside_and_others_do_not(tmp_path: Path) -> None:
    line, outside = tmp_path / "line", write_checkpoint(tmp_path / "outside")
    write_checkpoint(line / "v1")
    (line / "latest").symlink_to("v1")
    (line / "stolen").symlink_to(outside)
    v2 = write_checkpoint(line / "v2")
    (v2 / "tokenizer.json").unlink()
    (v2 / "tokenizer.json").symlink_to("../v1/tokenizer.json")
    seen = {observation.name: observation for observation in DirectorySource(line).scan()}
    assert seen["latest"].locator == seen["v1"].locator == str(line / "v1")
    assert seen["v2"].listing.problem is None
    assert "leaves the watched directory" in str(seen["stolen"].listing.problem)


def test_a_name_that_cannot_be_shown_is_reported_in_a_form_that_can(tmp_path: Path) -> None:
    (tmp_path / "v1\x1b[31m").mkdir()
    os.mkdir(os.fsencode(tmp_path) + b"/v\xff")
    for observation in DirectorySource(tmp_path).scan():
        assert observation.name.isprintable() and observation.locator.isprintable()
        assert "rename it" in str(observation.listing.problem)


def test_a_directory_of_too_many_entries_is_not_walked_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.checkpoints.listing.MAX_ENTRIES", 10)
    for name in map(str, range(11)):
        (tmp_path / name).mkdir()
    assert "more than 10 files and directories" in str(list_directory(tmp_path).problem)
    (tmp_path / "10").rmdir()
    assert list_directory(tmp_path).problem is None


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"ghost.*create the directory"):
        DirectorySource(tmp_path / "ghost").scan()


@pytest.mark.parametrize("marker", [None, "READY"])
def test_a_slow_push_is_ready_only_when_all_of_it_is_there(
    tmp_path: Path, marker: str | None
) -> None:
    complete = write_checkpoint(tmp_path / "complete", shards=3)
    line = tmp_path / "line"
    line.mkdir()
    rule = Rule(marker, quiet_seconds=3600.0, quiet_polls=2)
    command = [sys.executable, "-c", SLOW_WRITER, str(complete), str(line / "v1")]
    now, sight, pauses = time.time(), None, 0
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None and writer.stdout is not None
        while writer.stdout.readline():
            for _ in range(3):  # it pauses for a while, but never for the whole quiet period
                now += 10.0
                [observation] = DirectorySource(line).scan()
                sight = look(sight, observation.listing, now)
                assert readiness(sight, rule, now) != Ready()
            pauses += 1
            writer.stdin.write("go on\n")
            writer.stdin.flush()
    assert pauses > 10
    for _ in range(3):
        now += 1800.0
        [observation] = DirectorySource(line).scan()
        sight = look(sight, observation.listing, now)
    assert sight is not None and readiness(sight, rule, now) == Ready()
    sizes = {file.path: file.size for file in sight.listing.files}
    assert sizes == {"READY": 0} | {file.name: file.stat().st_size for file in complete.iterdir()}
