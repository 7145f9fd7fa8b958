"""Services as processes: whose ports they are, how often they are started, and what is left."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from deploy.bench.made_up import write_checkpoint
from deploy.stack import stack as stack_module
from deploy.stack.__main__ import main
from deploy.stack.command import write_command
from deploy.stack.composition import CompositionError, Service, read_services
from deploy.stack.lock import locked
from deploy.stack.places import Places, Prepared
from deploy.stack.programs import Started
from deploy.stack.stack import Stack
from deploy.stack.start import COMPOSITION, FAKE_SLACK, running_stack
from tests.services import RedisServer, free_port

pytestmark = pytest.mark.long

SERVER = """
import socket, sys, time
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(60)
"""
DYING = """
import socket, sys, time
name, *ports = sys.argv[1:]
if name == "watch":
    raise SystemExit("error: this is what is wrong")
listening = [socket.create_server(("127.0.0.1", int(port))) for port in ports]
time.sleep(60)
"""
LEAVING = """
import signal, socket, sys, threading
from contextlib import suppress
from pathlib import Path
name, needed, own = sys.argv[1:]
stop = threading.Event()
if name == "client":
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
listening = socket.create_server(("127.0.0.1", int(own)))
while name == "server":
    asked, _ = listening.accept()
    with suppress(OSError), asked:
        while asked.recv(1):
            asked.sendall(b"x")
stop.wait()
with socket.create_connection(("127.0.0.1", int(needed))) as server:
    for _ in range(1000):
        server.sendall(b"x")
        if not server.recv(1):
            raise SystemExit("the server is gone")
Path("saved").touch()
"""
KILLED = """
import sys, time
from pathlib import Path
from deploy.stack import stack
from deploy.stack.lock import locked
from deploy.stack.programs import Started
from tests.deploy.stack.test_stack import SERVER, service
stack.program_of = lambda one, directory: Started(
    [sys.executable, "-c", SERVER, *map(str, one.ports.values())], {}, directory, None)
directory = Path(sys.argv[1])
with locked(directory) as lock, stack.Stack([service(int(sys.argv[2]))], directory, print, [lock]):
    print("runs", flush=True)
    time.sleep(60)
"""


def service(port: int, after: list[str] | None = None, name: str = "server") -> Prepared:
    made = Service(name, "any", [], [], {}, {}, [], [port], {}, after or [])
    return Prepared(made, [], [], {}, {}, {port: port})


def runs(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Every service is Python that runs `code`, with its port as the argument."""

    def program(one: Prepared, directory: Path) -> Started:
        ports = map(str, one.ports.values())
        return Started([sys.executable, "-c", code, *ports], dict(os.environ), directory, None)

    monkeypatch.setattr(stack_module, "program_of", program)


def until(found: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers_late(port: int) -> bool:
    time.sleep(2)
    return True


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_somebody_else_has_is_named_with_its_holder(
    address: str, tmp_path: Path
) -> None:
    with closing(socket.create_server((address, 0))) as foreign:
        port = foreign.getsockname()[1]

        def of_reports(exposed: int) -> int:
            return port if exposed == 8080 else free_port()

        said = rf"port {port} of reports is taken by .*\(process {os.getpid()}\).*--free-ports"
        with (
            pytest.raises(CompositionError, match=said),
            running_stack(tmp_path, ["cpu"], print, of_reports),
        ):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


@pytest.mark.parametrize(
    "text, said",
    [
        (None, "can't be read"),
        ("[[lines", "is not valid TOML"),
        ("poll_second = 1", "poll_second"),
        ("poll_seconds = 1", "no line is watched; add one ([[lines]])"),
    ],
)
def test_settings_that_are_useless_are_refused_before_anything_starts(
    text: str | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, directory = tmp_path / "mine.toml", tmp_path / "stack"
    if text is not None:
        config.write_text(text)
    given = ["deploy.stack", "--directory", str(directory), "--config", str(config), "--free-ports"]
    monkeypatch.setattr(sys, "argv", given)
    assert main() == 2
    told = capsys.readouterr().out
    assert f"error: {config}" in told and said in told
    assert list(directory.iterdir()) == []


def test_a_service_that_can_never_live_ends_the_stack_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stack_module, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(
        stack_module,
        "program_of",
        lambda one, directory: Started(
            [sys.executable, "-c", DYING, str(one), *map(str, one.ports.values())],
            dict(os.environ),
            directory,
            None,
        ),
    )
    monkeypatch.setattr(sys, "argv", ["deploy.stack", "--directory", str(tmp_path), "--free-ports"])
    assert main() == 2
    told = capsys.readouterr().out
    assert "error: watch has ended 5 times in a row: error: this is what is wrong" in told


def test_the_printed_command_reaches_the_workers(tmp_path: Path, redis_server: RedisServer) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "LATENTWATCH_DATABASE_URL").write_text(f"sqlite:///{tmp_path}/latentwatch.db")
    subprocess.run([COMPOSITION / "secrets.sh", secrets], check=True)
    redis = redis_server.client.connection_pool.connection_kwargs["port"]
    services = read_services(COMPOSITION / "compose.yaml", ["cpu", "demo"], FAKE_SLACK)
    ports = {6379: redis}
    places = Places(services, COMPOSITION, tmp_path, secrets, lambda own: ports.get(own, own))
    command = write_command(tmp_path, places, services)
    candidate = write_checkpoint(tmp_path / "candidate", 1)
    base = write_checkpoint(tmp_path / "base", 2)
    done = subprocess.run(
        [command, "check", candidate, "--baseline", base, "--wait", "1s"],
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3 and "candidate: queued" in done.stderr, done.stderr
    assert "Redis can't be reached" not in done.stderr
    assert redis_server.client.llen("latentwatch:gpu") == 1


def test_a_server_that_has_ended_does_not_answer_through_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another has taken the port between the look at it and the start.
    monkeypatch.setattr(stack_module, "_takes_connections", answers_late)
    runs(monkeypatch, "raise SystemExit(1)")
    server, port = service(free_port()), free_port()
    client = service(port, after=["server"], name="client")
    with (
        pytest.raises(CompositionError, match="server does not start"),
        Stack([server, client], tmp_path, print),
    ):
        pass


def test_what_always_ends_is_left_after_some_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_module, "TEND_SECONDS", 0.01)
    monkeypatch.setattr(stack_module, "AGAIN_SECONDS", 0.01)
    runs(monkeypatch, "raise SystemExit(1)")
    told: list[str] = []
    with Stack([service(free_port())], tmp_path, told.append) as stack:
        until(lambda: len(told) == 5)
        time.sleep(0.5)
        with pytest.raises(CompositionError, match="server has ended 5 times in a row"):
            stack.raise_if_lost()
    assert sum("has ended with 1" in one for one in told) == 5


def test_what_was_started_again_still_ends_after_those_that_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_module, "TEND_SECONDS", 0.01)
    monkeypatch.setattr(stack_module, "AGAIN_SECONDS", 0.01)
    server = service(free_port())
    client = service(free_port(), after=["server"], name="client")
    needed = str(*server.ports.values())

    def program(one: Prepared, directory: Path) -> Started:
        arguments = [str(one), needed, *map(str, one.ports.values())]
        return Started([sys.executable, "-c", LEAVING, *arguments], {}, directory, None)

    monkeypatch.setattr(stack_module, "program_of", program)
    with Stack([server, client], tmp_path, print) as stack:
        first = stack.process("server")
        until(lambda: is_taken(*client.ports.values()))
        first.kill()
        first.wait()
        until(lambda: stack.process("server") is not first and is_taken(int(needed)))
    assert (tmp_path / "saved").exists()  # by the client, which needs the server for it


def test_servers_end_with_a_stack_that_is_killed_and_the_lock_with_them(tmp_path: Path) -> None:
    port = free_port()
    stack = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path, str(port)], stdout=subprocess.PIPE, text=True
    )
    assert stack.stdout is not None and stack.stdout.readline() == "runs\n"
    until(lambda: is_taken(port))
    with (
        pytest.raises(CompositionError, match=f"is in use.*process {stack.pid} "),
        locked(tmp_path),
    ):
        pass
    stack.send_signal(signal.SIGKILL)
    stack.wait()
    stack.stdout.close()
    until(lambda: not is_taken(port), 10.0)
    with locked(tmp_path):
        pass


def test_a_directory_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["deploy.stack", "--directory", "/proc/nope"])
    assert main() == 2
    assert "error: --directory /proc/nope: can't be made" in capsys.readouterr().out


def test_redis_listens_on_this_machine_alone(tmp_path: Path) -> None:
    services = read_services(COMPOSITION / "compose.yaml", ["cpu"], {})
    (redis,) = [one for one in services if one.name == "redis"]
    command = Places([redis], COMPOSITION, tmp_path, tmp_path, int).prepare(redis).command
    assert command[command.index("--bind") + 1] == "127.0.0.1"
