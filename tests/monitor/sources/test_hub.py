"""Lines on the Hub: whole watches against a Hub that moves, fails, cuts and forgets."""

import json
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from sqlalchemy import select

from deploy.bench.made_up import write_checkpoint
from monitor.checkpoints.checkpoint import inspect_checkpoint
from monitor.checkpoints.identity import identify
from monitor.checkpoints.listing import list_directory
from monitor.database.schema import Line, Observation
from monitor.errors import SourceError
from monitor.lineage.overview import refused_pushes
from monitor.on_demand.comparison import prepare
from monitor.settings import load_settings
from monitor.sources.fetching import fetching, source_of
from monitor.sources.hub_client import HubClient
from monitor.sources.locate import find_files
from tests.fakes.hub import TOKEN, FakeHub, Fault
from tests.monitor.conftest import Sessions
from tests.monitor.sources.hub_line import DAY, hub_line, name_of, push
from tests.monitor.watching.watched import WatchedLine


@pytest.fixture
def line(hub: FakeHub, tmp_path: Path, sessions: Sessions) -> WatchedLine:
    return hub_line(hub, tmp_path / "data", sessions)


def test_every_commit_of_a_branch_is_compared(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    shas = [push(hub, tmp_path / "pushed", seed, (1 + seed) * DAY) for seed in (1, 2, 3)]
    assert line.watch() == 0
    first = name_of(hub.tags["v1.0"])
    trusted, *others = line.rows().values()
    assert {trusted.name, *trusted.aliases} == {first, "v1.0"} and trusted.state == "trusted"
    assert [row.name for row in others] == [name_of(sha) for sha in shas]
    assert line.worker.ran == [name_of(sha) for sha in reversed(shas)]
    version = line.version(name_of(shas[0]))
    assert version.locator == f"hf:acme/chat@{shas[0]}" and version.published_at == 2 * DAY
    counts, asked = line.count(Observation), len(hub.requests)
    assert line.watch() == 0
    assert line.count(Observation) == counts
    # A watch that begins anew looks, but fetches nothing.
    assert {path.rpartition("/")[2] for _, path, _ in hub.requests[asked:]} <= {
        "refs",
        *shas,
        *hub.commits,
    }
    assert len(hub.downloads("model.safetensors")) == 4


def test_the_same_bytes_are_downloaded_once(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    line.watch()
    read = len(hub.downloads())
    hub.push({"README.md": b"new"}, 2 * DAY)
    assert line.watch() == 0 and len(hub.downloads()) == read
    hub.push({"chat_template.jinja": b"{{ messages }}"}, 3 * DAY)
    assert line.watch() == 0
    assert hub.downloads()[read:] == [
        f"/acme/chat/resolve/{hub.branches['main']}/chat_template.jinja"
    ]


def test_the_token_goes_to_the_hub_and_nowhere_else(
    hub: FakeHub, line: WatchedLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.private = True
    assert line.watch() == 3
    assert any("answers 401" in said and "LATENTWATCH_HUB__TOKEN" in said for said in line.said)
    monkeypatch.setenv("LATENTWATCH_HUB__TOKEN", TOKEN)
    line.settings = line.settings.model_copy(
        update={"hub": load_settings(hub={"endpoint": hub.url}).hub}
    )
    assert TOKEN not in repr(line.settings)
    assert line.watch() == 0
    sent = {host: "authorization" in headers for host, _, headers in hub.requests[-20:]}
    assert sent == {"127.0.0.1": True, "localhost": False}
    assert not any(TOKEN in said for said in line.said)


def test_a_split_push_is_one_version(hub: FakeHub, line: WatchedLine, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in write_checkpoint(tmp_path / "p", 4).iterdir()}
    hub.branches.clear()
    weights = hub.push(
        {name: files[name] for name in ("model.safetensors", "config.json")}, 2 * DAY
    )
    line.configure(trusted=None)
    assert line.watch() == 3
    assert "tokenizer.json: is not there" in str(line.rows()[name_of(weights)].reason)
    whole = hub.push(files, 2 * DAY + 20)
    line.configure(trusted="v1.0")
    assert line.watch() == 0
    assert line.states()[name_of(whole)] == "passed"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/blobs/", cut=100),
        Fault("/blobs/", status=500),
        Fault("/blobs/", status=429, headers={"Retry-After": "7"}),
        Fault("/blobs/", cut=0),
        Fault("chat_template.jinja", status=503),
    ],
)
def test_a_download_that_fails_goes_on_at_the_next_look(
    hub: FakeHub, line: WatchedLine, tmp_path: Path, fault: Fault
) -> None:
    line.watch()
    pushed = write_checkpoint(tmp_path / "pushed", 5)
    (pushed / "chat_template.jinja").write_text("{{ messages }}")
    sha = hub.push(pushed, 2 * DAY)
    # Both looks of this round fail; one in which the Hub wants to be left alone asks nothing more.
    fault.times = 2
    hub.faults = [fault]
    assert line.watch() == 3
    row = line.rows()[name_of(sha)]
    assert (row.state, row.digest) == ("undecided", None)
    assert "not taken in yet: " in str(row.reason)
    assert any(name_of(sha) in said and "the next look goes on" in said for said in line.said)
    hub.faults = []
    asked = len(hub.requests)
    assert line.watch() == 0
    assert line.states()[name_of(sha)] == "passed"
    if fault.cut:
        ranges = [h["range"] for _, path, h in hub.requests[asked:] if "/blobs/" in path]
        assert ranges == ["bytes=100-"]


@pytest.mark.parametrize("body", [b"no", b"[" * 100_000])
def test_an_answer_that_is_none_of_a_hub_is_told(
    hub: FakeHub, line: WatchedLine, body: bytes
) -> None:
    hub.faults = [Fault("/refs", status=200, body=body)]
    with pytest.raises(SourceError, match="none of the Hub's"):
        source_of(line.settings.lines[0], line.settings).scan()


def test_an_overrun_hub_is_left_alone(hub: FakeHub, line: WatchedLine) -> None:
    source = source_of(line.settings.lines[0], line.settings)
    hub.faults = [Fault("/refs", status=429, headers={"RateLimit": '"api";r=0;t=40'})]
    with pytest.raises(SourceError, match="answers 429"):
        source.scan()
    asked = len(hub.requests)
    with pytest.raises(SourceError, match="left alone for 40 s"):
        source.scan()
    assert len(hub.requests) == asked


def test_other_bytes_than_listed_are_never_a_version(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    line.watch()
    sha = push(hub, tmp_path / "pushed", 6, 2 * DAY)
    _, _, files = hub.commits[sha]
    good, files["config.json"] = files["config.json"], files["config.json"] + b" "
    source = source_of(line.settings.lines[0], line.settings)
    [seen] = [one for one in source.scan() if one.name == name_of(sha)]
    files["config.json"] = b" " + good
    with pytest.raises(SourceError, match="is not what the store lists"), source.open(seen.locator):
        pass


def test_a_worker_elsewhere_fetches_the_commit_itself(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    sha = push(hub, tmp_path / "pushed", 9, 2 * DAY)
    line.watch()
    version = line.version(name_of(sha))
    push(hub, tmp_path / "pushed", 10, 3 * DAY)
    elsewhere = line.settings.model_copy(update={"data_dir": tmp_path / "elsewhere"})
    with pytest.raises(SourceError, match="can't be fetched here"):
        find_files(line.sessions, version)
    with fetching(elsewhere):
        path = find_files(line.sessions, version).path
        assert path.is_relative_to(tmp_path / "elsewhere")
        checkpoint = inspect_checkpoint(path, list_directory(path, root=Path("/")))
        assert identify(checkpoint).content == version.content_digest
    with (
        fetching(elsewhere.model_copy(update={"lines": []})),
        pytest.raises(SourceError, match="line chat is not in"),
    ):
        find_files(line.sessions, version)


def test_a_directory_is_compared_with_a_trusted_version_on_the_hub(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    line.watch()
    candidate = write_checkpoint(tmp_path / "candidate", 9)
    with fetching(line.settings):
        comparison = prepare(
            line.sessions, line.settings, candidate, "trusted", "chat", "recipe", line.clock.now
        )
    assert comparison.base.locator == f"hf:acme/chat@{hub.tags['v1.0']}"
    counts = line.count(Observation)
    line.watch()
    assert line.count(Observation) == counts


def test_a_revoked_repository_is_an_outage_and_no_verdict(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    sha = push(hub, tmp_path / "pushed", 9, 2 * DAY)
    line.watch()
    hub.gone = True
    assert line.watch() == 3
    assert "answers 404" in line.said[-1] and "hub.repo" in line.said[-1]
    assert line.states()[name_of(sha)] == "passed"
    elsewhere = line.settings.model_copy(update={"data_dir": tmp_path / "elsewhere"})
    with fetching(elsewhere), pytest.raises(SourceError, match=r"can't be fetched now.*404"):
        find_files(line.sessions, line.version(name_of(sha)))


def test_hostile_commits_are_refused_before_their_weights_are_fetched(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    line.watch()
    config = json.loads(hub.commits[hub.branches["main"]][2]["config.json"])
    hostile = {**config, "auto_map": {"AutoModel": "x.Y"}}
    weights = (write_checkpoint(tmp_path / "p", 11) / "model.safetensors").read_bytes()
    for files, reason in (
        ({"pytorch_model.bin": b"pickle"}, "only safetensors"),
        ({"config.json": json.dumps(hostile).encode()}, "auto_map"),
        ({"a\nb.json": b"{}"}, "can't be shown"),
        ({"../../config.json": b"{}"}, "its name leaves the push"),
        ({"/etc/config.json": b"{}"}, "its name leaves the push"),
    ):
        hub.branches["main"] = hub.tags["v1.0"]
        sha = hub.push({**files, "model.safetensors": weights}, 2 * DAY)
        assert line.watch() == 3
        assert reason in str(line.rows()[name_of(sha)].reason)
    assert len(hub.downloads("model.safetensors")) == 1


def test_the_fake_speaks_as_the_hubs_own_client_expects(
    hub: FakeHub, line: WatchedLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever has imported our models in this process has taken their client from the network.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    sha = push(hub, tmp_path / "pushed", 1, 2 * DAY)
    theirs, ours = HfApi(endpoint=hub.url, token=False), HubClient(hub.repo, line.settings.hub)
    refs = theirs.list_repo_refs(hub.repo)
    assert {(ref.name, ref.target_commit) for ref in [*refs.branches, *refs.tags]} == {
        (ref.name, ref.commit) for ref in ours.refs()
    }
    commits = theirs.list_repo_commits(hub.repo, revision=sha)
    assert [(c.commit_id, c.created_at.timestamp()) for c in commits] == list(ours.commits(sha, 10))
    tree = theirs.list_repo_tree(hub.repo, recursive=True, revision=sha)
    assert {
        (f.path, f.size, f"sha256:{f.lfs.sha256}" if f.lfs else f"git:{f.blob_id}") for f in tree
    } == {tuple(file) for file in ours.files(sha)}


def test_pull_requests_are_watched_where_asked_for(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    main = hub.branches["main"]
    sha = hub.push(write_checkpoint(tmp_path / "pr", 3), 2 * DAY, branch="pr", parent=main)
    hub.requested["1"] = hub.branches.pop("pr")
    assert line.watch() == 0 and len(line.states()) == 1
    line.configure(hub={"repo": hub.repo, "refs": ["main", "v*", "refs/pr/*"]})
    assert line.watch() == 0
    assert line.states()[f"refs/pr/1@{sha[:12]}"] == "passed"


def test_a_page_that_is_no_hub_is_named(hub: FakeHub, line: WatchedLine) -> None:
    hub.branches["main"] = "../../etc"
    assert line.watch() == 3
    assert "is no commit" in line.said[-1] and "hub.endpoint" in line.said[-1]


def test_refs_that_match_nothing_are_an_error(line: WatchedLine) -> None:
    line.configure(hub={"repo": "acme/chat", "refs": ["release/*"]})
    assert line.watch() == 3
    assert "none of its branches and tags matches hub.refs (release/*)" in line.said[-1]


def test_a_refused_commit_counts_until_a_better_one_is_published(
    hub: FakeHub, line: WatchedLine, tmp_path: Path
) -> None:
    line.watch()
    refused = hub.push({"pytorch_model.bin": b"pickle"}, 2 * DAY)
    assert line.watch() == 3
    del hub.commits[refused][2]["pytorch_model.bin"]
    better = push(hub, tmp_path / "pushed", 1, 3 * DAY)
    hub.commits[refused][2]["pytorch_model.bin"] = b"pickle"
    assert line.watch() == 3  # it was there when this look began
    assert line.states()[name_of(better)] == "passed"
    assert line.watch() == 0
    with line.sessions() as session:
        row = session.scalars(select(Line)).one()
        assert refused_pushes(session, row) == []
    assert "gone: pytorch_model.bin" in str(line.rows()[name_of(refused)].reason)
