"""Whether the owner of a lease lives is told only where it can be told for certain."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from monitor.owner import is_alive, is_dead, this_process
from workers.keeping.store import LocalStore

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
WAITS = (
    "import sys; from monitor.owner import this_process\n"
    "print(this_process(), flush=True)\n"
    "sys.stdin.read()"
)


@contextmanager
def another_process() -> Iterator[str]:
    """Its name, while it lives."""
    command = [sys.executable, "-c", WAITS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def test_a_process_lives_until_it_ends() -> None:
    with another_process() as owner:
        assert is_alive(owner) is True
        assert not is_dead(owner)
    assert is_alive(owner) is False
    assert is_dead(owner)
    assert is_alive(this_process()) is True


def test_a_zombie_and_a_pid_that_was_given_again_are_dead() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    owner = process.stdout.readline().strip()
    process.stdout.read()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert is_dead(owner)
    process.wait()
    host, pid, start, *place = this_process().split(":")
    assert is_dead(":".join((host, pid, str(int(start) - 1), *place)))


@pytest.mark.parametrize("seconds", [-3.0, 3.0, 86_400.0])
def test_a_step_of_the_clock_kills_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    before, booted = this_process(), psutil.boot_time()
    with another_process() as owner, LocalStore(tmp_path).put("a") as scratch:
        # What /proc/stat says of the start of the host follows the clock.
        monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + seconds)
        assert is_alive(owner) is True
        assert this_process() == before
        LocalStore(tmp_path)
        assert scratch.is_dir()


def test_nobody_is_declared_dead_from_another_pid_namespace() -> None:
    """There the pid may be nobody's, or that of another process."""
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    mine = this_process()
    assert mine.endswith(f":{BOOT}:{namespace}")
    with another_process() as owner:
        pass  # it has ended, which could be told for certain within this namespace
    for seen, known in ((owner, False), (mine, True)):
        assert is_alive(seen) is known
        assert is_alive(seen.removesuffix(str(namespace)) + str(namespace + 1)) is None


def test_the_proc_of_another_pid_namespace_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a namespace of its own that still sees the /proc of the one around it."""
    with another_process() as owner:
        assert is_alive(owner) is True
        monkeypatch.setattr("monitor.owner.os.readlink", lambda path: "1")
        assert is_alive(owner) is None
    assert is_alive(owner) is False  # that the kernel itself says, of its own namespace


def test_who_cannot_be_seen_is_neither_dead_nor_alive() -> None:
    mine = this_process()
    never = mine.replace(":", ":999999999:", 1).split(":")  # above the largest pid
    del never[2]
    assert is_dead(":".join(never))
    host = mine.partition(":")[0]
    for owner in (
        ":".join(never).replace(host, f"not-{host}", 1),
        ":".join(never).replace(BOOT, "another-start"),
        re.sub(r":\d+$", ":1", ":".join(never)),
        f"{host}:999999999:1764000000.25",  # of an earlier version
        f"{host}:999999999:4:5",
        "elsewhere:1:1",
        host,
        "",
    ):
        assert is_alive(owner) is None, owner
