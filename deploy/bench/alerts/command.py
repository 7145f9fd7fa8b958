"""From the verdict to the message: many alerts at once, within Slack's limits, while Slack fails
and the process that sends is killed. Everything runs in real time."""

import os
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from deploy.bench.alerts.figures import count, counted, sent_alerts, times
from deploy.bench.alerts.random_faults import RandomFaults
from deploy.bench.bars import progress_bars
from deploy.bench.results import keep, print_line
from deploy.bench.servers import running_postgres
from deploy.bench.verdicts import conclude, prepare
from deploy.demo.watching import COMMAND
from deploy.fake_slack.server import FakeSlack, fake_slack
from deploy.fake_slack.workspace import APP_TOKEN, BOT_TOKEN, Channel, Workspace
from monitor.alerting.messages import Kind
from monitor.database.opening import open_database
from monitor.database.schema import AlertMessage, AlertRow

ROOT = Path(__file__).parents[3]


class Size(NamedTuple):
    """How much is to be told where, what fails, and how long it may take."""

    alerts: int
    channels: int
    faults: float
    """Chance of each call to fail."""
    kills: int
    patience_seconds: float


FULL = Size(1000, 10, 0.08, 3, 3600.0)


def run(size: Size, out: Path | None, work: Path | None = None) -> bool:
    """Raise the alerts, wait until all is sent and print JSON lines; False when anything is lost or
    there twice. With `out` the result is kept there; everything happens below `work`."""
    workspace = Workspace()
    faults = workspace.faults = RandomFaults(size.faults, seed=0)
    names = [f"line-{number:02}" for number in range(size.channels)]
    channels = [Channel(f"C0BENCH{number:02}", name) for number, name in enumerate(names)]
    workspace.channels = {channel.id: channel for channel in channels}
    workspace.messages = {channel.id: [] for channel in channels}
    with (
        tempfile.TemporaryDirectory(prefix="latentwatch-alerts-", dir=work) as directory,
        running_postgres(Path(directory)) as url,
        fake_slack(workspace) as slack,
    ):
        config = _configure(Path(directory), url, names, channels)
        sessions = open_database(url)
        checks = prepare(sessions, names, size.alerts)
        with _pagers(config, slack, size) as kills:
            began = time.monotonic()
            for check in checks:
                conclude(sessions, check)
            raised = time.monotonic() - began
            _wait(sessions, size)
        seconds = time.monotonic() - began
        sent = sent_alerts(sessions, workspace)
        counts = counted(sessions, workspace)
        sessions.kw["bind"].dispose()
    for severity in ("critical", "warning"):
        figures = times([one for one in sent if one.severity == severity])
        print_line({"benchmark": "alerts", "severity": severity, **figures})
    line = {"benchmark": "alerts", **times(sent), "channels": size.channels, **counts}
    line |= {"kills": len(kills), "faults": sum(faults.happened.values())}
    if out is not None:
        by_severity = {
            s: times([o for o in sent if o.severity == s]) for s in ("critical", "warning")
        }
        details = {
            "by_severity": by_severity,
            "faults_by_kind": dict(sorted(faults.happened.items())),
            "fault_chance": size.faults,
            "verdicts_written_in_s": round(raised, 1),
            "seconds": round(seconds, 1),
            "calls": dict(sorted(Counter(workspace.calls).items())),
            "load_average": [round(one, 1) for one in os.getloadavg()],
        }
        keep(out, "alerts", line | details)
    print_line(line)
    return line["lost"] == 0 and line["doubled"] == 0 and line["alerts"] == size.alerts


def _configure(
    directory: Path, url: str, names: Sequence[str], channels: Sequence[Channel]
) -> Path:
    lines = [f'data_dir = "{directory / "data"}"', f'database_url = "{url}"']
    for name in names:
        lines += ["[[lines]]", f'name = "{name}"', f'directory = "{directory}"']
    for name, channel in zip(names, channels, strict=True):
        lines += ["[[alerts.routes]]", f'lines = ["{name}"]', f'channel = "{channel.id}"']
    lines += ["[[alerts.routes]]", f'channel = "{channels[0].id}"']
    path = directory / "latentwatch.toml"
    path.write_text("\n".join(lines))
    return path


@contextmanager
def _pagers(config: Path, slack: FakeSlack, size: Size) -> Iterator[list[int]]:
    """`latentwatch alerts serve`, connected when the block begins. It is killed as often as `size`
    says, each time when so much more was posted, and started again; what was posted by then."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "LATENTWATCH_ALERTS__SLACK__BOT_TOKEN": BOT_TOKEN,
        "LATENTWATCH_ALERTS__SLACK__APP_TOKEN": APP_TOKEN,
        "LATENTWATCH_ALERTS__SLACK__API_URL": slack.api_url,
    }
    command = [str(COMMAND), "alerts", "serve", "--config", str(config)]
    ending, started, killed = threading.Event(), threading.Event(), list[int]()

    def posted() -> int:
        return sum(map(len, list(slack.workspace.messages.values())))

    def tend() -> None:
        with (config.parent / "pager.log").open("w") as log:
            while not ending.is_set():
                process = subprocess.Popen(
                    command, env=environment, cwd=config.parent, stdout=log, stderr=log
                )
                while not ending.wait(0.1) and process.poll() is None:
                    if slack.interactions.connected:
                        started.set()
                    due = size.alerts * (len(killed) + 1) / (size.kills + 1)
                    if len(killed) < size.kills and posted() >= due:
                        killed.append(posted())
                        break
                process.kill()
                process.wait()

    tender = threading.Thread(target=tend, name="tender")
    tender.start()
    try:
        started.wait(size.patience_seconds)
        yield killed
    finally:
        ending.set()
        tender.join()


def _wait(sessions: sessionmaker[Session], size: Size) -> None:
    gives_up_at = time.monotonic() + size.patience_seconds
    with progress_bars() as bars:
        task = bars.add_task("sent", total=size.alerts)
        while time.monotonic() < gives_up_at:
            with sessions() as session:
                unplanned = count(session, select(AlertRow).where(AlertRow.planned == 0))
                unsent = AlertMessage.sent < AlertMessage.wanted
                left = count(session, select(AlertMessage).where(unsent))
                alerts = count(session, select(AlertMessage).filter_by(kind=Kind.ALERT))
            bars.update(task, completed=max(0, alerts - left))
            if not unplanned and not left and alerts >= size.alerts:
                return
            time.sleep(1.0)
