"""Runs one process that compares, and sees to it that it ends: hung, killed or told to stop.

Never imports torch. The process has a process group of its own, which is gone when this returns.
"""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any, NamedTuple

from workers.processes.isolated_process import STOPPED

OUT_OF_MEMORY = "the process was killed, most likely for want of memory (SIGKILL)"

_TICK_SECONDS = 0.2


class Limits(NamedTuple):
    """Seconds."""

    deadline: float
    silence: float
    """Without any line."""
    stall: float
    """Without a line that tells of progress."""
    grace: float
    spent: float = 0.0
    """Of the deadline, before the process began."""


class Ending(NamedTuple):
    """How the process ended; exactly one is set."""

    outcome: dict[str, Any] | None = None
    """Its last line."""
    refused: str | None = None
    """Why nothing can be decided; another try would end alike."""
    crashed: str | None = None
    """Why it ended early; another try may fare better."""
    stopped: bool = False
    """It was told to stop, and what it had done is saved."""
    cancelled: str | None = None
    """It was ended because somebody had asked for that."""
    elsewhere: str | None = None
    """Why it never began: this host can't have it compared, another may."""


def supervise(
    command: Sequence[str],
    environment: Mapping[str, str],
    assignment: str,
    hear: Callable[[dict[str, Any]], None],
    must_stop: Callable[[], bool],
    limits: Limits,
) -> Ending:
    """Run `command` with `assignment` on its standard input until it ends.

    `hear` gets every line of progress, and an empty one a few times per second; what it raises
    kills the process and is raised. When `must_stop` turns true, after the deadline, or when it
    makes no progress, the process alone gets SIGTERM, and its group SIGKILL when the grace is over;
    after a silence SIGKILL at once.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    try:
        return _until_it_ends(process, assignment, hear, must_stop, limits)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _until_it_ends(
    process: subprocess.Popen[bytes],
    assignment: str,
    hear: Callable[[dict[str, Any]], None],
    must_stop: Callable[[], bool],
    limits: Limits,
) -> Ending:
    # Beside the loop: who hangs before it reads a long one has to be ended, too.
    Thread(target=_hand_over, args=(process, assignment), daemon=True).start()
    heard = moved = time.monotonic()
    ends_at = heard + limits.deadline - limits.spent
    asked: float | None = None
    stopping, why, killed = False, "", False
    last: dict[str, Any] = {}
    for line in _lines(process):
        now = time.monotonic()
        if line:
            heard = now
            moved = moved if line.get("event") == "alive" else now
        if line.get("event") in ("outcome", "refused", "crashed"):
            last = line
        hear(line)
        if asked is None and now > ends_at:
            why = f"took longer than {limits.deadline:.0f} seconds"
        elif asked is None and now > moved + limits.stall:
            why = f"made no step for {limits.stall:.0f} seconds"
        stopping = stopping or must_stop()
        if asked is None and (why or stopping):
            asked = now
            # Not its children: it would take their end for a failure of the checkpoint.
            process.send_signal(signal.SIGTERM)
        elif asked is not None and now > asked + limits.grace:
            killed = True
            os.killpg(process.pid, signal.SIGKILL)
        elif now > heard + limits.silence:
            why, killed = f"said nothing for {limits.silence:.0f} seconds", True
            os.killpg(process.pid, signal.SIGKILL)
    return _ending(process.wait(), last, why, stopping, killed)


def _hand_over(process: subprocess.Popen[bytes], assignment: str) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as stream:
        stream.write(assignment.encode())


def _ending(code: int, last: dict[str, Any], why: str, stopping: bool, killed: bool) -> Ending:
    """How it ended: `why` it was asked to, whether for our own end, and whether we `killed` it."""
    if last.get("event") == "outcome":
        return Ending(outcome=last)
    if last.get("event") == "refused":
        return Ending(refused=last["reason"])
    if why and not stopping:
        return Ending(crashed=f"the process {why}")
    if stopping and code == -signal.SIGKILL and not killed:
        return Ending(crashed=OUT_OF_MEMORY)  # and what killed it may have us stop as well
    if stopping or code in (STOPPED, -signal.SIGTERM):
        return Ending(stopped=True)
    if last.get("event") == "crashed":
        return Ending(crashed=last["reason"])
    if code == -signal.SIGKILL:
        return Ending(crashed=OUT_OF_MEMORY)
    if code < 0:
        return Ending(crashed=f"the process crashed ({signal.Signals(-code).name})")
    return Ending(crashed=f"the process ended without an outcome (exit code {code})")


def _lines(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """What the process tells, line by line; an empty dictionary whenever it said nothing."""
    assert process.stdout is not None
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(_TICK_SECONDS):
                if process.poll() is not None:  # a child that outlived it holds the pipe open
                    return
                yield {}
                continue
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                return
            *complete, pending = (pending + chunk).split(b"\n")
            for line in complete:
                yield _parsed(line)
            yield {}


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError:  # cut off by a crash
        return {}
    return parsed if isinstance(parsed, dict) else {}
