"""One process of the service with its waits shortened and a clock that can be set from outside:
`python -m deploy.bench.chaos.hurried watch|worker|reconcile CONFIG DIRECTORY NAME`.

A schedule would take hours otherwise. Nothing else differs from what `latentwatch` runs, except
that workers compare by `deploy.bench.fake_stages` and what they write is recorded.
"""

import importlib
import sys
from pathlib import Path

from deploy.bench.chaos.settable_clock import CLOCK, use_clock

STEP_SECONDS = 0.08
WAITS = {
    "monitor.jobs.leases.BACKOFF_SECONDS": 0.3,
    "monitor.jobs.leases.LONGEST_WAIT_SECONDS": 2.0,
    "monitor.jobs.reconcile.LOST_AFTER_SECONDS": 3.0,
    "monitor.jobs.reconcile.LEAD_SECONDS": 4.0,
    "monitor.watching.pairing.LONGEST_RETRY_SECONDS": 4.0,
    "monitor.watching.rounds.RETRY_SECONDS": 2.0,
    "workers.dispatch.celery_app.VISIBILITY_SECONDS": 20,
    "workers.processes.heartbeat.BEAT_SECONDS": 0.5,
    "workers.processes.heartbeat.LEASE_SECONDS": 5.0,
    "workers.dispatch.supervised.LEASE_SECONDS": 5.0,
    "workers.dispatch.service.SIGN_IN_SECONDS": 2.0,
}


def main(role: str, config: Path, directory: Path, name: str) -> None:
    """Run until a signal."""
    use_clock(directory / CLOCK)
    for constant, seconds in WAITS.items():
        module, _, attribute = constant.rpartition(".")
        imported = importlib.import_module(module)
        if not hasattr(imported, attribute):
            raise AttributeError(f"{constant}: there is no such wait any more")
        setattr(imported, attribute, seconds)

    from deploy.bench.service_process import serve  # takes the waits as they are now

    serve(role, config, name, STEP_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
