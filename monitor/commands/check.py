"""The commands that compare: `check`, `watch` and `calibrate`, and `render`, which prints."""

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from alerts.json_file import read_json
from alerts.verdict import Severity, Verdict, exit_code, is_borne
from monitor.closed_memory import close_memory
from monitor.commands.console import explained, report, show, write
from monitor.commands.options import (
    COPIES,
    DEFAULT_CONFIG,
    Baseline,
    Candidate,
    Config,
    Copies,
    DataDir,
    Format,
    Out,
    OutputFormat,
    TextOrJson,
    Wait,
    named_path,
    settings_of,
)
from monitor.commands.verdict_formats import print_verdict
from monitor.database.opening import open_database
from monitor.errors import SettingsError
from monitor.lineage.lookup import find_line
from monitor.lineage.overview import line_rows, version_rows
from monitor.sources.fetching import fetching
from monitor.terminal import tables
from monitor.watching.line_watch import Around, Worker
from monitor.watching.rounds import watch_forever, watch_once


@explained
def check(
    candidate: Candidate,
    baseline: Baseline,
    line: Annotated[str | None, typer.Option(help="Line that the candidate belongs to.")] = None,
    format_: OutputFormat = Format.TEXT,
    out: Out = None,
    fail_on: Annotated[
        Literal["warning", "critical"],
        typer.Option(help="From which severity on a flagged version exits with 1."),
    ] = "warning",
    wait: Wait = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Compare two checkpoints. Exit code: 0 passed, 1 flagged, 2 bad input, 3 undecided, 4
    cancelled or skipped for newer versions."""
    settings = settings_of(config, data_dir)
    close_memory()
    with fetching(settings):
        if wait is not None:
            from workers.dispatch.submit import submit_pair

            verdict = submit_pair(candidate, baseline, line, settings, out, wait, report)
        else:
            from workers.check import check_pair
            from workers.progress import terminal_progress

            verdict = check_pair(
                candidate, baseline, line, settings, out, terminal_progress, report
            )
    print_verdict(verdict, format_, fail_on)
    raise typer.Exit(_code(verdict, fail_on))


@explained
def render(
    verdict: Annotated[
        Path, typer.Argument(parser=named_path, help="verdict.json, as `check` writes it.")
    ],
    format_: OutputFormat = Format.TEXT,
    fail_on: Annotated[
        Literal["warning", "critical"] | None,
        typer.Option(help="Exit as `check` does, from this severity on; else with 0."),
    ] = None,
) -> None:
    """Print a verdict that was kept, in any format. Compares nothing and exits with 0, or as
    --fail-on says."""
    kept = read_json(verdict, Verdict)
    print_verdict(kept, format_, fail_on or "warning")
    if fail_on is not None:
        raise typer.Exit(_code(kept, fail_on))


def _code(verdict: Verdict, fail_on: Severity) -> int:
    """The exit code; 0 also for a flagged verdict below the severity that fails."""
    return 0 if is_borne(verdict, fail_on) else exit_code(verdict)


@explained
def watch(
    once: Annotated[bool, typer.Option("--once", help="One round, then exit.")] = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Check whatever is published on the watched lines.

    Exit code of --once: 0 all is decided and nothing was newly flagged, 1 something was flagged, 3
    something could not be decided.
    """
    from monitor.watching.version_api import version_routes
    from monitor.watching.webhook_server import Alarm, listening
    from workers.progress import terminal_progress

    settings = settings_of(config, data_dir)
    if not settings.lines:
        raise SettingsError(f"no line is watched: add one to {config or DEFAULT_CONFIG}")
    close_memory()
    sessions = open_database(settings.database_url)
    compare: Worker
    if settings.broker.url is None:
        from workers.dispatch.local import LocalWorker

        compare = LocalWorker(sessions, settings, terminal_progress, report)
    else:
        from workers.dispatch.remote import RemoteWorker

        compare = RemoteWorker(sessions, settings, wait=once)
    around = Around(sessions, compare, report, time.time, time.sleep)
    if not once:
        alarm = Alarm()
        token = settings.webhooks.read_token
        names = [line.name for line in settings.lines]
        read = [] if token is None else version_routes(sessions, names, token.get_secret_value())
        with listening(settings.webhooks, alarm.ring, read) as port:
            if port is not None:
                report(f"messages are taken at port {port} of {settings.webhooks.host}")
            watch_forever(settings, around._replace(sleep=alarm.sleep))
    code = watch_once(settings, around)
    with sessions() as session:
        seen = {row.name for row in line_rows(session)}
        for watched in settings.lines:
            if watched.name in seen:  # else its place could not be listed, which was reported
                rows = version_rows(session, find_line(session, watched.name))
                show(tables.versions_table(watched.name, rows))
    raise typer.Exit(code)


@explained
def calibrate(
    line: Annotated[str, typer.Option(help="Line of which a trusted version is measured.")],
    version: Annotated[str | None, typer.Option(help="Which one; the newest by default.")] = None,
    copies: Copies = COPIES,
    format_: TextOrJson = "text",
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Measure what scores do when nothing has changed, for the thresholds of the next checks."""
    from monitor.terminal.calibration import calibration_view
    from workers.calibrate import calibrate_line
    from workers.progress import terminal_progress

    settings = settings_of(config, data_dir)
    with fetching(settings):
        calibration = calibrate_line(line, version, copies, settings, terminal_progress)
    if format_ == "json":
        write(calibration.model_dump_json(indent=2))
    else:
        show(calibration_view(calibration))
