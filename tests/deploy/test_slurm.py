"""A worker on SLURM starts again by itself, and is queued again before its time is up."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.deploy.deployed import DEPLOY
from tests.waiting import until

WORKER = """#!/bin/sh
trap 'echo saved >>"$DONE"; exit 0' TERM
echo start >>"$DONE"
[ "$(grep -c start "$DONE")" -gt 2 ] || exit 2  # the database is away
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
    script = ["bash", DEPLOY / "slurm/worker.sbatch"]
    job = subprocess.Popen(script, env=environment, start_new_session=True)
    try:
        until(lambda: done.read_text().count("start") == 3)
        job.send_signal(signal.SIGTERM)
        assert job.wait(30.0) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
    assert done.read_text().split("\n")[-3:-1] == ["saved", "requeue 7"]


def test_what_never_starts_keeps_no_gpu(tmp_path: Path) -> None:
    (tmp_path / "latentwatch").write_text("#!/bin/sh\nexit 2\n")
    (tmp_path / "latentwatch").chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "7",
        "RESTART_SECONDS": "0",
        "QUICK_ENDS": "3",
    }
    script = ["bash", DEPLOY / "slurm/worker.sbatch"]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "ended 3 times within a minute" in done.stderr
