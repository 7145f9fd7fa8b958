"""One process of the service as `latentwatch` runs it, but workers compare by fake stages, and
record every attempt to write what came of it."""

import sys
import time
from pathlib import Path

from deploy.bench.chaos.ledger import recorded
from monitor.commands.console import report
from monitor.database.opening import open_database
from monitor.settings import load_settings
from monitor.watching.line_watch import Around
from monitor.watching.rounds import watch_forever
from workers.dispatch import supervised
from workers.dispatch.remote import RemoteWorker
from workers.dispatch.service import run_reconciler, run_worker


def serve(does: str, config: Path, name: str, step_seconds: float) -> None:
    """Watch, reconcile or work, as `does` says, until a signal; a step of training takes
    `step_seconds`."""
    settings = load_settings(config)
    if does == "worker":
        supervised.conclude = recorded(supervised.conclude)  # type: ignore[assignment]
        command = (sys.executable, "-m", "deploy.bench.fake_stages", str(step_seconds))
        run_worker(settings, name, ["gpu", "cpu"], None, command)
    elif does == "reconcile":
        run_reconciler(settings, report)
    else:
        sessions = open_database(settings.database_url)
        wakes = RemoteWorker(sessions, settings, wait=False)
        watch_forever(settings, Around(sessions, wakes, report, time.time, time.sleep))
