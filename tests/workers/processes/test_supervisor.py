"""Who is told to stop when a process that compares is, and what is told of one that was killed."""

import os
import sys
import time
from typing import Any

import pytest

from workers.processes.supervisor import OUT_OF_MEMORY, Ending, Limits, supervise

PARENT_AND_CHILD = """
import json, signal, subprocess, sys

def block():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

child = (
    "import signal, sys; print(flush=True); sys.stdin.readline();"
    "print(signal.SIGTERM in signal.sigpending())"
)
block()
pipe = subprocess.PIPE
with subprocess.Popen([sys.executable, "-c", child], stdin=pipe, stdout=pipe, text=True) as running:
    running.stdout.readline()
    print(json.dumps({"event": "begin"}), flush=True)
    signal.sigwait([signal.SIGTERM])
    told, _ = running.communicate("go")
print(json.dumps({"event": "outcome", "child": told.strip()}))
"""


def test_a_stop_is_for_the_process_alone_and_not_for_its_children() -> None:
    heard: list[object] = []
    ending = supervise(
        (sys.executable, "-c", PARENT_AND_CHILD),
        os.environ,
        "",
        lambda line: heard.append(line.get("event")),
        lambda: "begin" in heard,
        Limits(deadline=60.0, silence=60.0, stall=60.0, grace=60.0),
    )
    assert ending.outcome == {"event": "outcome", "child": "False"}


def ended(script: str, assignment: str, **limits: float) -> tuple[Ending, float]:
    """How a process ends that is told to stop as soon as it has said anything, and when."""
    heard: list[dict[str, Any]] = []
    began = time.monotonic()
    ending = supervise(
        (sys.executable, "-c", f"import os, signal, sys, time\n{script}"),
        os.environ,
        assignment,
        lambda line: heard.append(line) if line else None,
        lambda: bool(heard),
        Limits(**{"deadline": 60.0, "silence": 60.0, "stall": 60.0, "grace": 60.0} | limits),
    )
    return ending, time.monotonic() - began


KILLED = """
signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
print("{}", flush=True)
print('{"event": "begin"}', flush=True)
time.sleep(60)
"""
DEAF = KILLED.replace("lambda *_: os.kill(os.getpid(), signal.SIGKILL)", "signal.SIG_IGN")


@pytest.mark.parametrize(
    "script, grace, expected",
    [
        (KILLED, 60.0, Ending(crashed=OUT_OF_MEMORY)),  # by the kernel, which has us stop as well
        (DEAF, 0.5, Ending(stopped=True)),  # by us, when it did not stop
    ],
)
def test_who_is_killed_while_it_stops_has_crashed_unless_we_killed_it(
    script: str, grace: float, expected: Ending
) -> None:
    ending, _ = ended(script, "", grace=grace)
    assert ending == expected


def test_who_does_not_read_its_assignment_is_ended_all_the_same() -> None:
    longer_than_a_pipe = "x" * 1_000_000
    ending, seconds = ended("time.sleep(60)", longer_than_a_pipe, silence=1.0)
    assert ending == Ending(crashed="the process said nothing for 1 seconds") and seconds < 30.0
