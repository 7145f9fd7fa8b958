"""Lines in MLflow's model registry, on a real server."""

import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow import MlflowClient
from sqlalchemy import select

from deploy.bench.made_up import write_checkpoint
from monitor.database.schema import Diff, Observation, Trust, Version
from monitor.errors import CheckpointRefusedError, UnknownVersionError
from monitor.lineage.lookup import find_line, find_version
from monitor.settings.sources import MlflowSettings
from monitor.sources.downloads import DownloadCache
from monitor.sources.fetching import fetching
from monitor.sources.locate import find_files
from monitor.sources.mlflow_registry import Artifacts
from monitor.sources.remote_file import RemoteFile
from tests.monitor.conftest import Sessions
from tests.monitor.watching.watched import WatchedLine

Log = Callable[[int], str]


class MlflowWatch(WatchedLine):
    model = ""

    def ask(self, uri: str | None) -> None:
        server = MlflowSettings(tracking_uri=uri)
        self.settings = self.settings.model_copy(update={"mlflow": server})


@pytest.fixture
def client(mlflow_url: str) -> Any:
    return MlflowClient(tracking_uri=mlflow_url, registry_uri=mlflow_url)


@pytest.fixture
def log(client: Any, line: MlflowWatch, tmp_path: Path) -> Log:
    """Log a checkpoint and register it; the number of its version."""
    client.create_registered_model(line.model)

    def register(seed: int) -> str:
        run = client.create_run("0").info.run_id
        client.log_artifacts(run, str(write_checkpoint(tmp_path / str(seed), seed)), "m")
        return str(client.create_model_version(line.model, f"runs:/{run}/m", run).version)

    return register


@pytest.fixture
def line(mlflow_url: str, tmp_path: Path, sessions: Sessions) -> MlflowWatch:
    model = f"chat {uuid.uuid4().hex}"
    place = {"model": model}
    watch = MlflowWatch(
        tmp_path / "data", sessions, {"mlflow": place}, mlflow={"tracking_uri": mlflow_url}
    )
    watch.model = model
    return watch


def test_model_versions_are_compared_and_aliases_are_names(
    line: MlflowWatch, log: Log, client: Any
) -> None:
    numbers = [log(seed) for seed in range(2)]
    line.configure(trusted=numbers[0])
    client.set_registered_model_alias(line.model, "challenger", numbers[1])
    assert line.watch() == 0
    assert line.states() == {"1": "trusted", "2": "passed"}
    assert line.rows()["2"].aliases == ["challenger"]
    blobs = line.settings.data_dir / "downloads" / "blobs"
    before = {blob.name: blob.stat().st_ctime_ns for blob in blobs.iterdir()}
    counts = line.count(Observation)
    assert line.watch() == 0
    assert {blob.name: blob.stat().st_ctime_ns for blob in blobs.iterdir()} == before
    assert line.count(Observation) == counts
    version = line.version("2")
    elsewhere = line.settings.model_copy(update={"data_dir": line.settings.data_dir / "elsewhere"})
    with fetching(elsewhere):
        assert (find_files(line.sessions, version).path / "model.safetensors").exists()


def test_an_alias_decides_what_is_trusted_where_the_settings_say_so(
    line: MlflowWatch, log: Log, client: Any
) -> None:
    for seed in range(2):
        log(seed)
    client.set_registered_model_alias(line.model, "champion", "1")
    assert line.watch() == 3 and "no version is trusted" in line.said[-1]
    line.configure(mlflow={"model": line.model, "trusted_alias": "champion"})
    assert line.watch() == 0
    assert line.states() == {"1": "trusted", "2": "passed"}
    client.set_registered_model_alias(line.model, "champion", "2")
    assert line.watch() == 0 and line.states()["2"] == "trusted"
    assert line.rows()["2"].reason == "MLflow alias champion names it"
    client.set_registered_model_alias(line.model, "champion", "1")  # back, and both are trusted
    log(2)
    assert line.watch() == 0 and line.states()["3"] == "passed"
    base, candidate = line.version("1").content_digest, line.version("3").content_digest
    with line.sessions() as session:
        against = session.scalars(select(Diff.base_digest).filter_by(candidate_digest=candidate))
        assert against.all() == [base]
    client.set_registered_model_alias(line.model, "champion", "2")
    line.decide("2", Trust.QUARANTINED)
    line.said.clear()
    assert line.watch() == 0 and line.states()["2"] == "quarantined"
    assert any("stays so although MLflow alias champion names it" in said for said in line.said)


def test_a_model_that_is_made_again_gives_the_same_number_to_another_version(
    line: MlflowWatch, log: Log, client: Any, tmp_path: Path
) -> None:
    line.configure(trusted=log(0))
    log(1)
    assert line.watch() == 0 and line.states() == {"1": "trusted", "2": "passed"}
    old = line.version("2")
    runs = [client.get_model_version(line.model, n).run_id for n in "12"]
    client.delete_registered_model(line.model)
    client.create_registered_model(line.model)
    client.create_model_version(line.model, f"runs:/{runs[0]}/m", runs[0])
    run = client.create_run("0").info.run_id
    client.log_artifacts(run, str(write_checkpoint(tmp_path / "other", 7)), "m")
    client.create_model_version(line.model, f"runs:/{run}/m", run)
    assert line.watch() == 0
    assert line.count(Version) == 3
    with line.sessions() as session:
        digests = {row.content_digest for row in session.scalars(select(Version))}
    assert old.content_digest in digests and len(digests) == 3


def test_a_version_whose_artifacts_cannot_be_listed_keeps_nobody_from_the_others(
    line: MlflowWatch, log: Log, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    line.configure(trusted=log(0))
    client.create_model_version(line.model, "s3://nobody-may-read-this/m")
    log(1)
    for _ in range(2):
        assert line.watch() == 3
        assert line.states() == {"1": "trusted", "2": "undecided", "3": "passed"}
    reason = str(line.rows()["2"].reason)
    assert "not taken in yet: version 2: its artifacts can't be listed: MLflow" in reason


def test_a_version_is_waited_for_while_its_registration_is_pending(
    line: MlflowWatch, log: Log, mlflow_directory: Path
) -> None:
    def set_status(number: str, status: str) -> None:
        with closing(sqlite3.connect(mlflow_directory / "mlflow.db")) as database, database:
            changed = database.execute(
                "UPDATE model_versions SET status = ? WHERE name = ? AND version = ?",
                (status, line.model, number),
            )
            assert changed.rowcount == 1

    def why_none(number: str) -> str:
        with line.sessions() as session, pytest.raises(UnknownVersionError) as caught:
            find_version(session, find_line(session, "chat"), number)
        return f"{caught.type.__name__}: {caught.value}"

    line.configure(trusted=log(0))
    pending, failed = log(1), log(2)
    set_status(pending, "PENDING_REGISTRATION")
    set_status(failed, "FAILED_REGISTRATION")
    line.watch()
    assert "still to be taken in: its status at MLflow is PENDING_" in why_none(pending)
    assert "was refused: its status at MLflow is FAILED_REGISTRATION" in why_none(failed)
    set_status(pending, "READY")
    line.watch()
    assert line.states()[pending] == "passed"


def test_what_a_reader_left_that_died_is_dropped_when_room_is_made(tmp_path: Path) -> None:
    cache = DownloadCache(tmp_path, 100)
    left = tmp_path / "scratch" / "left"
    left.mkdir(parents=True)
    (left / "shard").write_bytes(b"0" * 5000)
    file = RemoteFile("config.json", 2, "tag:x")
    with cache.scratch() as mine:
        (mine / "shard").touch()
        with cache.fetched("push", [file], lambda *_: [b"{}"]):
            assert not left.exists() and (mine / "shard").exists()
    assert not mine.exists() and list((tmp_path / "scratch").iterdir()) == []


def test_the_layout_of_the_transformers_flavour_is_understood(
    line: MlflowWatch, client: Any, log: Log, tmp_path: Path
) -> None:
    flat = log(3)
    run = client.create_run("0").info.run_id
    checkpoint = write_checkpoint(tmp_path / "flavoured", 3)
    (tmp_path / "MLmodel").write_text("flavors: {}")
    client.log_artifact(run, str(tmp_path / "MLmodel"), "m")
    for file in checkpoint.iterdir():
        part = "components/tokenizer" if "token" in file.name else "model"
        client.log_artifact(run, str(file), f"m/{part}")
    client.create_model_version(line.model, f"runs:/{run}/m", run)
    line.configure(trusted=flat)
    assert line.watch() == 0
    assert line.rows()[flat].aliases == ["2"]


@pytest.mark.parametrize(
    "place",
    ["http://127.0.0.1:9/model", "mlflow-artifacts://evil.example:80/x", "file:///etc", "/etc"],
)
def test_artifacts_elsewhere_are_refused(place: str) -> None:
    class Registry:
        def get_model_version_download_uri(self, name: str, number: str) -> str:
            return place

    version = SimpleNamespace(name="chat", version="1", creation_timestamp=0)
    with pytest.raises(CheckpointRefusedError, match="log them to the artifact store"):
        Artifacts.of(Registry(), "http://127.0.0.1:9", version)


def test_an_absent_model_or_server_is_named(line: MlflowWatch, log: Log) -> None:
    line.configure(mlflow={"model": "nobody's"})
    assert line.watch() == 3
    assert "MLflow: nobody's:" in line.said[-1] and "mlflow.model" in line.said[-1]
    line.settings = line.settings.model_copy(
        update={
            "mlflow": line.settings.mlflow.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
        }
    )
    assert line.watch() == 3
    assert "check mlflow.tracking_uri" in line.said[-1]


def test_a_token_that_no_header_can_hold_is_shown_nowhere(
    line: MlflowWatch, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(0)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "mlf_hunter2\n")  # a secret that echo has made
    assert line.watch() == 3
    assert "(MLFLOW_TRACKING_TOKEN)" in "".join(line.said)
    assert "hunter2" not in "".join(line.said)


def test_a_line_needs_a_server(line: MlflowWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    line.ask(None)
    assert line.watch() == 3
    assert "set mlflow.tracking_uri" in line.said[-1]
