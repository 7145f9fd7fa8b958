"""A worker on SLURM starts again by itself, and is queued again before its time is up."""

import os
import signal
import subprocess
from pathlib import Path

from tests.deploy.deployed import DEPLOY
from tests.waiting import until

WORKER = """#!/bin/sh
echo start >>"$DONE"
[ "$(grep -c start "$DONE")" -gt 2 ] || exit 2  # the database is away
trap 'echo saved >>"$DONE"; exit 0' TERM
while :; do sleep 0.1; done
"""
SCONTROL = """#!/bin/sh
echo "$*" >>"$DONE"
"""


def test_it_starts_again_until_its_time_is_up_and_is_queued_anew(tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.touch()
    for name, script in (("latentwatch", WORKER), ("scontrol", SCONTROL)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "DONE": str(done),
        "SLURM_JOB_ID": "7",
        "RESTART_SECONDS": "0.2",
    }
    job = subprocess.Popen(["bash", DEPLOY / "slurm/worker.sbatch"], env=environment)
    try:
        until(lambda: done.read_text().count("start") == 3)
        job.send_signal(signal.SIGTERM)
        assert job.wait(30.0) == 0
    finally:
        job.kill()
    assert done.read_text().split("\n")[-3:-1] == ["saved", "requeue 7"]
