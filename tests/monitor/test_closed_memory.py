"""A child of the same user, without privileges, and what it can read of its parent."""

import os
import subprocess
import sys

import pytest

from tests.workers.service import ROOT

# Who gives up being root becomes closed by that; a worker that never was is open to begin with.
PARENT = """
import ctypes, os, subprocess, sys
from monitor.closed_memory import close_memory
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1)
if sys.argv[1] == "closed":
    close_memory()
done = subprocess.run(["cat", f"/proc/{os.getpid()}/environ"], capture_output=True, text=True)
print(done.stdout + done.stderr)
"""


@pytest.mark.parametrize("how, read", [("open", "hunter2"), ("closed", "Permission denied")])
def test_the_environment_of_a_worker_is_closed_to_its_children(how: str, read: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT, how],
        env=os.environ | {"PYTHONPATH": str(ROOT), "SECRET": "hunter2"},
        capture_output=True,
        text=True,
    )
    assert read in done.stdout, done.stdout + done.stderr
    assert ("hunter2" in done.stdout) == (how == "open")
