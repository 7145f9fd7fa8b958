"""The command `latentwatch`. Thin: arguments in, one function called, its result printed."""

import json
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

import typer
from sqlalchemy.orm import Session, sessionmaker

from alerts.json_file import read_json
from alerts.junit import to_junit
from alerts.markdown import to_markdown
from alerts.sarif import to_sarif
from alerts.verdict import Verdict, exit_code, to_json
from deploy.bench.cli import app as bench
from monitor import tables
from monitor.admission import admit_named
from monitor.alert_commands import alerts, doctor
from monitor.console import UNDECIDED, explained, report, show, write
from monitor.database import open_database, read_database
from monitor.errors import SettingsError, SourceError, UnknownVersionError
from monitor.fetching import fetching
from monitor.lineage import move, verify_audit
from monitor.lookup import find_line, find_version
from monitor.options import (
    COPIES,
    DEFAULT_CONFIG,
    Candidate,
    Config,
    Copies,
    DataDir,
    Format,
    LineName,
    Out,
    OutputFormat,
    Reason,
    TextOrJson,
    VersionName,
    Wait,
    named_path,
    settings_of,
)
from monitor.overview import latest_verdict, line_rows, version_details, version_rows
from monitor.owner import this_user
from monitor.probe_commands import probes
from monitor.rounds import Around, Worker, watch_forever, watch_once
from monitor.schema import Trust
from monitor.service_commands import cancel, exporter, healthy, reconcile, status, worker

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(alerts, name="alerts")
app.add_typer(bench, name="bench")
app.add_typer(probes, name="probes")
for command in (worker, reconcile, status, healthy, exporter, cancel, doctor):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        write(f"latentwatch {metadata.version('latentwatch')}")
        raise typer.Exit


@app.callback()
def latentwatch(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """A diff and a code review for model releases."""


@app.command()
@explained
def check(
    candidate: Candidate,
    baseline: Annotated[
        str, typer.Option(help='Directory to compare it with, or "trusted" for that of the line.')
    ],
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
    with fetching(settings):
        if wait is not None:
            from workers.submit import submit_pair

            verdict = submit_pair(candidate, baseline, line, settings, out, wait, report)
        else:
            from workers.check import check_pair
            from workers.closed_memory import close_memory
            from workers.progress import terminal_progress

            close_memory()
            verdict = check_pair(
                candidate, baseline, line, settings, out, terminal_progress, report
            )
    _print_verdict(verdict, format_)
    raise typer.Exit(0 if _is_bearable(verdict, fail_on) else exit_code(verdict))


@app.command()
@explained
def render(
    verdict: Annotated[
        Path, typer.Argument(parser=named_path, help="verdict.json, as `check` writes it.")
    ],
    format_: OutputFormat = Format.TEXT,
) -> None:
    """Print a verdict that was kept, in any format. Compares nothing and exits with 0."""
    _print_verdict(read_json(verdict, Verdict), format_)


def _print_verdict(verdict: Verdict, format_: Format) -> None:
    if format_ in _WRITTEN:
        write(_WRITTEN[format_](verdict))
    else:
        show(tables.verdict_view(verdict))


_WRITTEN: dict[Format, Callable[[Verdict], str]] = {
    Format.JSON: to_json,
    Format.MARKDOWN: to_markdown,
    Format.JUNIT: to_junit,
    Format.SARIF: to_sarif,
}


def _is_bearable(verdict: Verdict, fail_on: str) -> bool:
    """Whether a flagged verdict is below the severity that fails. An undecided one never is."""
    return verdict.severity == "warning" and fail_on == "critical"


@app.command()
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
    from monitor.version_api import version_route
    from monitor.webhook_server import Alarm, listening
    from workers.progress import terminal_progress

    settings = settings_of(config, data_dir)
    if not settings.lines:
        raise SettingsError(f"no line is watched: add one to {config or DEFAULT_CONFIG}")
    sessions = open_database(settings.database_url)
    compare: Worker
    if settings.broker.url is None:
        from workers.closed_memory import close_memory
        from workers.local import LocalWorker

        close_memory()
        compare = LocalWorker(sessions, settings, terminal_progress, report)
    else:
        from workers.remote import RemoteWorker

        compare = RemoteWorker(sessions, settings, wait=once)
    around = Around(sessions, compare, report, time.time, time.sleep)
    if not once:
        alarm = Alarm()
        token = settings.webhooks.read_token
        read = [] if token is None else [version_route(sessions, token.get_secret_value())]
        with listening(settings.webhooks, alarm.ring, read) as port:
            if port is not None:
                report(f"messages are taken at port {port} of {settings.webhooks.host}")
            watch_forever(settings, around._replace(sleep=alarm.sleep))
    code = watch_once(settings, around)
    with sessions() as session:
        seen = {row.name for row in line_rows(session)}
        for watched in settings.lines:
            if watched.name in seen:  # else its place could not be listed, which was reported
                _show_versions(session, watched.name)
    raise typer.Exit(code)


@app.command()
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
    from monitor.calibration_view import calibration_view
    from workers.calibrate import calibrate_line
    from workers.progress import terminal_progress

    settings = settings_of(config, data_dir)
    with fetching(settings):
        calibration = calibrate_line(line, version, copies, settings, terminal_progress)
    if format_ == "json":
        write(calibration.model_dump_json(indent=2))
    else:
        show(calibration_view(calibration))


@app.command()
@explained
def lines(format_: TextOrJson = "text", config: Config = None, data_dir: DataDir = None) -> None:
    """List the lines, with what is trusted. Exits with 3 if the audit log was tampered with."""
    settings = settings_of(config, data_dir)
    with read_database(settings.database_url)() as session:
        rows = line_rows(session)
        problems = verify_audit(session)
    if format_ == "json":
        write(json.dumps([row._asdict() for row in rows], ensure_ascii=False, indent=2))
    else:
        show(tables.lines_table(rows, settings))
    for problem in problems:
        report(f"audit log: {problem}")
    if problems:
        raise typer.Exit(UNDECIDED)


@app.command()
@explained
def versions(
    line: LineName,
    format_: TextOrJson = "text",
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """List the versions of a line, and the pushes that were refused."""
    with _readable(config, data_dir)() as session:
        rows = version_rows(session, find_line(session, line))
    if format_ == "json":
        write(json.dumps([row.for_programs() for row in rows], ensure_ascii=False, indent=2))
    else:
        show(tables.versions_table(line, rows))


@app.command(name="show")
@explained
def show_version(
    line: LineName,
    version: VersionName,
    format_: OutputFormat = Format.TEXT,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Show one version: its verdict, what it was compared with, and every decision about it."""
    with _readable(config, data_dir)() as session:
        found = find_version(session, find_line(session, line), version)
        details = version_details(session, found)
        verdict = latest_verdict(session, found)
    if format_ == Format.JSON:
        write(json.dumps(details, ensure_ascii=False, indent=2))
    elif format_ == Format.TEXT:
        show(tables.version_view(details, verdict))
    elif verdict is not None:
        write(to_markdown(verdict))
    else:
        raise UnknownVersionError(f"{version} has no verdict yet; use --format text or json")


@app.command()
@explained
def trust(
    line: LineName,
    version: VersionName,
    reason: Reason,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Trust a version: the next ones are compared with it."""
    settings = settings_of(config, data_dir)
    sessions = open_database(settings.database_url)
    watched = settings.line(line)
    if watched is not None:
        try:
            admit_named(sessions, settings, watched, version, time.time())
        except SourceError as error:  # what is known already can be trusted all the same
            report(str(error))
    _decide(sessions, line, version, Trust.TRUSTED, reason)


@app.command()
@explained
def quarantine(
    line: LineName,
    version: VersionName,
    reason: Reason,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Quarantine a version: nothing is compared with it, and everyone sees why."""
    sessions = open_database(settings_of(config, data_dir).database_url)
    _decide(sessions, line, version, Trust.QUARANTINED, reason)


def _readable(config: Path | None, data_dir: Path | None) -> sessionmaker[Session]:
    return read_database(settings_of(config, data_dir).database_url)


def _show_versions(session: Session, line: str) -> None:
    show(tables.versions_table(line, version_rows(session, find_line(session, line))))


def _decide(sessions: sessionmaker[Session], line: str, name: str, to: Trust, reason: str) -> None:
    actor = this_user()
    with sessions.begin() as session:
        version = find_version(session, find_line(session, line), name)
        before = version.state
        move(session, version, to, actor=actor, reason=reason, now=time.time())
    write(f"{line}: {version.name} ({version.content_digest[:12]}) is {to}, was {before}")
