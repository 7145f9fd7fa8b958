"""`latentwatch check --wait`: the workers of a running service compare, and the gate follows."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from deploy.bench.made_up import write_checkpoint
from monitor.database.opening import open_database
from monitor.database.schema import Diff
from monitor.settings import Settings, load_settings
from tests.services import RedisServer
from tests.waiting import until
from tests.workers.service import COMMAND, FAKE_WORKER, Process, environment

Check = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def settings(tmp_path: Path, redis_server: RedisServer) -> Settings:
    redis_server.client.flushall()
    url = f"sqlite:///{tmp_path}/data/latentwatch.db"
    broker = {"url": redis_server.url}
    return load_settings(data_dir=tmp_path / "data", database_url=url, broker=broker)


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[Process]:
    process = Process(settings, tmp_path / "worker.log", FAKE_WORKER, "one")
    yield process
    process.end()


@pytest.fixture
def check(settings: Settings, tmp_path: Path) -> Iterator[Check]:
    """Starts the command on a new candidate of this name."""
    started: list[subprocess.Popen[str]] = []
    base = write_checkpoint(tmp_path / "base")

    def begin(name: str, *options: str) -> subprocess.Popen[str]:
        candidate = write_checkpoint(tmp_path / name, seed=len(started) + 1)
        asked = ("check", str(candidate), "--baseline", str(base), "--format", "json", *options)
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", COMMAND, *asked],
                env=environment(settings),
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("worker")
def test_the_service_compares_and_its_verdict_is_printed(check: Check, tmp_path: Path) -> None:
    process = check("good", "--wait", "2m", "--out", "review")
    told, heard = process.communicate(timeout=120)
    assert process.returncode == 0, heard
    assert json.loads(told)["verdict"] == "passed"
    assert (tmp_path / "review" / "verdict.json").exists()
    assert "good: done" in heard  # a fast worker leaves no time to see it queued
    assert len((tmp_path / "good.starts").read_text().splitlines()) == 1  # not by the gate itself


def test_what_takes_too_long_is_undecided_and_goes_on(check: Check, tmp_path: Path) -> None:
    process = check("good", "--wait", "1s")  # nobody is at work
    told, heard = process.communicate(timeout=60)
    assert process.returncode == 3 and json.loads(told)["verdict"] == "undecided"
    assert "not decided within 1.0 s; it goes on" in heard


def test_while_redis_is_away_it_is_queued_and_waited_for(
    check: Check, settings: Settings, redis_server: RedisServer
) -> None:
    redis_server.kill()
    try:
        gives_up = check("good", "--wait", "3s")
        told, heard = gives_up.communicate(timeout=60)
        assert gives_up.returncode == 3 and json.loads(told)["verdict"] == "undecided", heard
        assert heard.count("it is queued, and workers are woken once Redis is back") == 1
        waits = check("better", "--wait", "2m")
        until(lambda: _states(settings) == ["queued", "queued"])
    finally:
        redis_server.start()
    queue = f"{settings.broker.key_prefix}gpu"
    until(lambda: redis_server.client.llen(queue) == 2)  # what it tries again wakes for both
    assert waits.poll() is None


def _states(settings: Settings) -> list[str]:
    with open_database(settings.database_url)() as session:
        return [diff.state for diff in session.scalars(select(Diff))]


@pytest.mark.usefixtures("worker")
def test_what_is_cancelled_is_four(check: Check, settings: Settings, tmp_path: Path) -> None:
    process = check("slow", "--wait", "2m")
    until(lambda: (tmp_path / "slow.starts").exists())
    cancel = ("cancel", "comparisons", "slow", "--reason", "not needed")
    asked = [sys.executable, "-c", COMMAND, *cancel]
    subprocess.run(asked, env=environment(settings), cwd=tmp_path, check=True)
    told, heard = process.communicate(timeout=120)
    assert process.returncode == 4, heard
    assert told == "" and "slow is not compared" in heard and "not needed" in heard


def test_a_time_that_is_none_and_a_service_that_is_not_there_are_two(tmp_path: Path) -> None:
    asked = ["check", str(tmp_path), "--baseline", str(tmp_path), "--data-dir", str(tmp_path)]
    for wait, message in (("soon", "write 90s"), ("1h", "BROKER__URL")):
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, *asked, "--wait", wait],
            capture_output=True,
            text=True,
            cwd=Path.cwd(),
        )
        assert done.returncode == 2 and message in done.stderr, done.stderr
