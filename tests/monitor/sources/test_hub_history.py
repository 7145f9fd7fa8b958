"""No commit is lost: during outages, over failures, restarts and moved branches."""

import hashlib
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from deploy.bench.made_up import write_checkpoint
from monitor.database.schema import Diff, Observation
from monitor.errors import SourceError
from monitor.jobs import diff_endings
from monitor.sources.fetching import source_of
from monitor.sources.source import Fate
from monitor.watching.admission import admit_named
from monitor.watching.line_watch import LineWatch
from monitor.watching.rounds import RETRY_SECONDS
from monitor.watching.sightings import fates
from tests.fakes.hub import FakeHub, Fault
from tests.monitor.conftest import Sessions
from tests.monitor.sources.hub_line import DAY, hub_line, name_of, push
from tests.monitor.watching.standin import RECIPE, StandInWorker
from tests.monitor.watching.watched import WatchedLine


@pytest.fixture
def line(hub: FakeHub, tmp_path: Path, sessions: Sessions) -> WatchedLine:
    """Only the newest commit is looked at first, so nothing is seen again by chance."""
    line = hub_line(hub, tmp_path / "data", sessions)
    line.configure(hub={"repo": hub.repo, "refs": ["main", "v*"], "commits": 1})
    return line


def unreadable(hub: FakeHub, sha: str, times: int = 99) -> Fault:
    """The weights of that commit can't be fetched."""
    weights = hub.commits[sha][2]["model.safetensors"]
    return Fault(f"/blobs/{hashlib.sha256(weights).hexdigest()}", status=502, times=times)


def pending(line: WatchedLine) -> list[str]:
    with line.sessions() as session:
        found = fates(session, "chat").items()
    return [place.name for place, fate in found if fate is Fate.PENDING]


def test_several_pushes_during_an_outage_are_all_seen(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    line.watch()
    hub.faults = [Fault("/refs", status=502, times=9)]
    shas = [push(hub, tmp_path / "pushed", seed, (1 + seed) * DAY) for seed in (1, 2)]
    assert line.watch() == 3
    hub.faults = []
    assert line.watch() == 0
    assert [line.states()[name_of(sha)] for sha in shas] == ["passed", "passed"]


@pytest.mark.parametrize("named_first", [False, True])
def test_more_pushes_during_an_outage_than_are_looked_at_first_are_all_seen(
    hub: FakeHub, line: WatchedLine, tmp_path: Path, named_first: bool
) -> None:
    before = [push(hub, tmp_path / "pushed", seed, (2 + seed) * DAY) for seed in range(4)]
    line.configure(hub={"repo": hub.repo, "refs": ["main", "v*"], "commits": 2})
    assert line.watch() == 0
    assert set(line.states()) == {"v1.0", *(name_of(sha) for sha in before[-2:])}
    shas = [push(hub, tmp_path / "pushed", seed, (6 + seed) * DAY) for seed in range(4, 10)]
    if named_first:
        [watched] = line.settings.lines
        line.clock.now += 1.0
        admit_named(line.sessions, line.settings, watched, name_of(shas[-1]), line.clock.now)
    assert line.watch() == 0
    assert [line.states()[name_of(sha)] for sha in shas] == ["passed"] * 6
    assert name_of(before[1]) not in line.states()


def test_pushes_beyond_the_farthest_look_back_are_told(
    hub: FakeHub, line: WatchedLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.sources.hub_history.MAX_COMMITS", 3)
    line.configure(hub={"repo": hub.repo, "refs": ["main", "v*"], "commits": 1})
    assert line.watch() == 0
    shas = [push(hub, tmp_path / "pushed", seed, (1 + seed) * DAY) for seed in range(1, 6)]
    assert line.watch() == 3
    gap = line.rows()[f"main before {shas[2][:12]}"]
    assert "3 or more commits came to main between two looks" in str(gap.reason)
    assert any(f"those before {shas[2][:12]} were not seen" in said for said in line.said)
    assert [line.states()[name_of(sha)] for sha in shas[2:]] == ["passed"] * 3
    watch = LineWatch(line.settings.lines[0], line.settings, line.around)
    watch.look()  # a process that has not seen the gap
    push(hub, tmp_path / "pushed", 6, 7 * DAY)
    for _ in range(2):
        line.clock.now += 1.0
        watch.look()
        assert line.rows()[f"main before {shas[2][:12]}"].reason == gap.reason
    line.configure(hub={"repo": hub.repo, "refs": ["v*"], "commits": 1})
    assert line.watch() == 0
    assert str(line.rows()[f"main before {shas[2][:12]}"].reason).startswith("gone: ")


def test_what_was_asked_before_the_hub_had_enough_is_not_asked_again(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    for number in range(4):
        sha = push(hub, tmp_path / "pushed", number, (1 + number) * DAY)
        hub.branches[f"step{number}"] = sha
    line.configure(hub={"repo": hub.repo, "refs": ["step*"], "commits": 1})
    source = source_of(line.settings.lines[0], line.settings)
    for number in range(4):  # one request succeeds in each look
        hub.faults = [Fault(f"/commits/{hub.branches[f'step{n}']}", 502) for n in range(number, 4)]
        with pytest.raises(SourceError, match="502"):
            list(source.scan())
    hub.faults, hub.requests = [], []
    found = [one.name.partition("@")[0] for one in source.scan()]
    assert found == [f"step{number}" for number in range(4)]
    asked = [path for _, path, _ in hub.requests if "/commits/" in path]
    assert len(asked) == 1 and hub.branches["step3"] in asked[0]


def test_a_moved_branch_keeps_what_was_seen(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    lost = push(hub, tmp_path / "pushed", 7, 2 * DAY)
    line.watch()
    hub.branches["main"] = hub.tags["v1.0"]
    moved = push(hub, tmp_path / "pushed", 8, 3 * DAY)
    assert line.watch() == 0
    assert line.states()[name_of(lost)] == line.states()[name_of(moved)] == "passed"


def test_an_older_commit_that_failed_is_taken_in_by_the_next_process(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    line.watch()
    older, newer = (push(hub, tmp_path / "pushed", seed, (1 + seed) * DAY) for seed in (1, 2))
    hub.faults = [unreadable(hub, older)]
    assert line.watch() == 3
    assert line.states()[name_of(newer)] == "passed"
    assert line.states()[name_of(older)] == "undecided"
    assert "not taken in yet: model.safetensors: download" in str(
        line.rows()[name_of(older)].reason
    )
    newest = push(hub, tmp_path / "pushed", 3, 4 * DAY)
    assert line.watch() == 3  # another process, which sees the newest commit only
    assert line.states()[name_of(newest)] == "passed"
    hub.faults = []
    assert line.watch() == 0
    assert line.states()[name_of(older)] == "passed"
    assert line.version(name_of(older)).published_at == 2 * DAY
    assert pending(line) == []


def test_a_commit_that_failed_outlives_its_branch_being_moved(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    line.watch()
    lost = push(hub, tmp_path / "pushed", 1, 2 * DAY)
    hub.faults = [unreadable(hub, lost)]
    assert line.watch() == 3
    hub.branches["main"] = hub.tags["v1.0"]
    moved = push(hub, tmp_path / "pushed", 2, 3 * DAY)
    assert line.watch() == 3
    hub.faults = []
    assert line.watch() == 0
    assert line.states()[name_of(lost)] == line.states()[name_of(moved)] == "passed"


def test_a_tag_that_was_moved_before_it_could_be_read_is_read(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    line.watch()
    first = hub.push(write_checkpoint(tmp_path / "a", 1), 2 * DAY, "apart", hub.tags["v1.0"])
    second = hub.push(write_checkpoint(tmp_path / "b", 2), 3 * DAY, "apart", hub.tags["v1.0"])
    hub.tags["v2"] = first
    hub.faults = [unreadable(hub, first)]
    assert line.watch() == 3
    hub.tags["v2"], hub.faults = second, []
    assert line.watch() == 0
    assert len([name for name in line.worker.ran if name == "v2"]) == 2


def test_a_commit_that_is_gone_is_waited_for_no_more(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    line.watch()
    lost = push(hub, tmp_path / "pushed", 1, 2 * DAY)
    hub.faults = [unreadable(hub, lost)]
    line.watch()
    hub.branches["main"] = hub.tags["v1.0"]
    moved = push(hub, tmp_path / "pushed", 2, 3 * DAY)
    hub.faults = [Fault(f"/commits/{lost}", status=404, times=99)]
    assert line.watch() == 0
    assert line.states()[name_of(moved)] == "passed"
    assert pending(line) == []
    assert line.states()[name_of(lost)] == "undecided"  # said, and never a pass


def test_the_parts_of_a_split_push_are_asked_about_once_it_is_whole_and_never_again(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    files = {path.name: path.read_bytes() for path in write_checkpoint(tmp_path / "p", 4).iterdir()}
    line.watch()
    line.configure(quiet_seconds=600.0, hub={"repo": hub.repo, "commits": 1})
    one_look = LineWatch(line.settings.lines[0], line.settings, line.around)
    hub.branches["main"] = hub.tags["v1.0"]
    part = hub.push({**files, "tokenizer.json": b"{"}, line.clock.now)
    del hub.commits[part][2]["tokenizer.json"]
    one_look.look()
    assert pending(line) == [name_of(part)]
    whole = hub.push(files, line.clock.now + 20)
    line.clock.now += 1000
    assert line.watch() == 0
    assert line.states()[name_of(whole)] == "passed"
    assert pending(line) == []
    asked = len(hub.requests)
    line.watch()
    assert not [path for _, path, _ in hub.requests[asked:] if part in path]


def test_nothing_newer_is_recorded_while_a_failure_can_not_be(
    hub: FakeHub, line: WatchedLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.watch()
    older, newer = (push(hub, tmp_path / "pushed", seed, (1 + seed) * DAY) for seed in (1, 2))
    hub.faults = [unreadable(hub, older)]

    def away(*_: object, **__: object) -> None:
        raise OperationalError("INSERT", {}, Exception("server closed the connection"))

    watch = LineWatch(line.settings.lines[0], line.settings, line.around)
    with monkeypatch.context() as patch:
        patch.setattr("monitor.watching.line_watch.put_off", away)
        watch.look()
    assert name_of(newer) not in line.states() and name_of(older) not in line.states()
    hub.faults = []
    assert line.watch() == 0  # the process that could not write it down has ended
    assert line.states()[name_of(older)] == line.states()[name_of(newer)] == "passed"


def test_a_failure_that_lasts_takes_one_row(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    line.watch()
    sha = push(hub, tmp_path / "pushed", 1, 2 * DAY)
    hub.faults = [unreadable(hub, sha)]
    line.watch()
    seen, since = line.count(Observation), line.rows()[name_of(sha)].seen_at
    hub.faults = [Fault("/blobs/", cut=number, times=1) for number in (10, 20, 30)]
    for _ in range(2):
        line.clock.now += 100.0
        assert line.watch() == 3
    assert line.count(Observation) == seen
    row = line.rows()[name_of(sha)]
    assert row.seen_at == since and "download stopped at" in str(row.reason)


def test_what_was_registered_before_a_restart_is_queued_though_newer_commits_hide_it(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    line.watch()
    shas = [push(hub, tmp_path / "pushed", seed, (1 + seed) * DAY) for seed in (1, 2, 3)]
    LineWatch(line.settings.lines[0], line.settings, line.around).look()  # and its process ends
    assert [line.states()[name_of(sha)] for sha in shas] == ["new"] * 3
    assert line.watch() == 0
    assert [line.states()[name_of(sha)] for sha in shas] == ["passed"] * 3


def test_a_comparison_that_failed_is_tried_again_though_newer_commits_hide_it(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    class Failing(StandInWorker):
        def run(self, diff: Diff) -> None:
            with self.sessions.begin() as session:
                diff_endings.fail(session, diff.id, diff.fence, "no space left", line.clock.now)

    line.watch()
    works, line.worker = line.worker, Failing(line.sessions, line.settings)
    line.worker.clock = works.clock
    older = push(hub, tmp_path / "pushed", 1, 2 * DAY)
    assert line.watch() == 3
    line.worker = works
    newer = push(hub, tmp_path / "pushed", 2, 3 * DAY)

    def round_of_another_process() -> None:
        watch = LineWatch(line.settings.lines[0], line.settings, line.around)
        watch.look()
        watch.queue(RECIPE, RETRY_SECONDS)
        line.worker.run_queued()

    round_of_another_process()
    assert [line.states()[name_of(sha)] for sha in (older, newer)] == ["undecided", "passed"]
    line.clock.now += RETRY_SECONDS
    round_of_another_process()
    assert line.states()[name_of(older)] == "passed"


def test_what_is_undecided_counts_though_newer_commits_hide_it(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    line.configure(hub={"repo": hub.repo, "refs": ["main", "v*", "odd*"], "commits": 1})
    hub.tags["odd-2"] = push(hub, tmp_path / "pushed", 1, 2 * DAY)
    hub.branches["main"] = hub.tags["v1.0"]
    assert line.watch() == 3
    del hub.tags["odd-2"]
    push(hub, tmp_path / "pushed", 2, 3 * DAY)
    assert line.watch() == 3
    assert "undecided" in line.states().values()
