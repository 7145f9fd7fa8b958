"""What a process does whose parent no longer reads what it tells."""

import os
import subprocess
import sys
from pathlib import Path

from tests.workers.service import ROOT
from workers.job import Job, side_of
from workers.processes.isolated_process import STOPPED, Work

STEPS_FOR_EVER = """
import itertools
from workers.processes.isolated_process import Work, run

def work(work, settings, progress):
    for done in itertools.count():
        progress.step("steps", done, 0)

run(Work, work)
"""


def test_a_parent_that_no_longer_reads_is_no_failure_of_the_work(tiny_checkpoint: Path) -> None:
    side = side_of(tiny_checkpoint)
    work = Work(parent=os.getpid(), shared_network=None, job=Job(None, side, side), settings={})
    process = subprocess.Popen(
        [sys.executable, "-c", STEPS_FOR_EVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    process.stdin.write(work.model_dump_json())
    process.stdin.close()
    assert '"event": ' in process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60.0) == STOPPED
    assert process.stderr.read() == ""
