"""Who is told to stop when a process that compares is."""

import os
import sys

from workers.processes.supervisor import Limits, supervise

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
