"""The commands about lines and versions: `lines`, `versions`, `show`, `trust`, `quarantine`."""

import json
import time

import typer
from sqlalchemy.orm import Session, sessionmaker

from monitor.commands.console import UNDECIDED, explained, report, show, write
from monitor.commands.options import (
    Config,
    DataDir,
    Format,
    LineName,
    OutputFormat,
    Reason,
    TextOrJson,
    VersionName,
    settings_of,
)
from monitor.commands.verdict_formats import print_verdict
from monitor.database.opening import open_database, read_database
from monitor.database.schema import Line, Trust, Version
from monitor.errors import SourceError, UnknownVersionError, UnreadableVerdictError
from monitor.lineage.lookup import find_current, find_line, find_version
from monitor.lineage.overview import latest_verdict, line_rows, version_details, version_rows
from monitor.lineage.trust import move, trusted_versions, verify_audit
from monitor.owner import this_user
from monitor.terminal import tables
from monitor.watching.admission import admit_named


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


@explained
def versions(
    line: LineName,
    format_: TextOrJson = "text",
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """List the versions of a line, and the pushes that were refused."""
    with read_database(settings_of(config, data_dir).database_url)() as session:
        rows = version_rows(session, find_line(session, line))
    if format_ == "json":
        write(json.dumps([row.for_programs() for row in rows], ensure_ascii=False, indent=2))
    else:
        show(tables.versions_table(line, rows))


@explained
def show_version(
    line: LineName,
    version: VersionName,
    format_: OutputFormat = Format.TEXT,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Show one version: its verdict, what it was compared with, and every decision about it."""
    with read_database(settings_of(config, data_dir).database_url)() as session:
        found = find_current(session, find_line(session, line), version)
        details = version_details(session, found)
        try:
            verdict = latest_verdict(session, found)
        except UnreadableVerdictError as error:
            if format_ not in (Format.TEXT, Format.JSON):
                raise
            report(str(error))
            verdict = None
    if format_ == Format.JSON:
        write(json.dumps(details, ensure_ascii=False, indent=2))
    elif format_ == Format.TEXT:
        show(tables.version_view(details, verdict))
    elif verdict is not None:
        print_verdict(verdict, format_, "warning")
    else:
        raise UnknownVersionError(f"{version} has no verdict yet; use --format text or json")


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


def _meant(session: Session, line: Line, name: str) -> Version:
    """The version that a decision by this name is about: where several contents were seen under it,
    or another push lies there now, nobody can say which one was looked at."""
    version = find_version(session, line, name)
    if find_current(session, line, name).id != version.id:
        raise UnknownVersionError(
            f"line {line.name}: another push lies at {name!r} now; name the version by its digest: "
            f"{version.content_digest[:12]}"
        )
    return version


def _decide(sessions: sessionmaker[Session], line: str, name: str, to: Trust, reason: str) -> None:
    actor = this_user()
    with sessions.begin() as session:
        version = _meant(session, find_line(session, line), name)
        before = version.state
        move(session, version, to, actor=actor, reason=reason, now=time.time())
        session.flush()
        trusted = trusted_versions(session, find_line(session, line))
    write(f"{line}: {version.name} ({version.content_digest[:12]}) is {to}, was {before}")
    if to == Trust.TRUSTED and trusted[0].id != version.id:
        write(f"{line}: the next versions are compared with {trusted[0].name} all the same")
