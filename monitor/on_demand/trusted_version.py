"""The trusted version of a line, for who asks for it at once: also before the first look at it."""

from sqlalchemy.orm import Session, sessionmaker

from monitor.database.schema import Trust, Version
from monitor.errors import NoTrustedVersionError, SettingsError
from monitor.lineage.lookup import find_line, find_version
from monitor.lineage.trust import trusted_base, was_ever_trusted
from monitor.settings import Settings
from monitor.settings.lines import LineSettings, usable_line_name
from monitor.watching.admission import admit_named
from monitor.watching.intake import ensure_line
from monitor.watching.pairing import trust_first


def version_to_calibrate(
    sessions: sessionmaker[Session],
    settings: Settings,
    line_name: str,
    wanted: str | None,
    now: float,
) -> Version:
    """The trusted version `wanted` of a line, by default the newest. Raises a LatentwatchError."""
    try:
        usable_line_name(line_name)
    except ValueError as error:
        raise SettingsError(f"--line {line_name!a}: {error}") from error
    watched = settings.line(line_name)
    if watched is not None and watched.trusted is not None:
        trust_named_first(sessions, settings, watched, now)
    with sessions() as session:
        line = find_line(session, line_name)
        if wanted is None:
            return trusted_base(session, line)
        version = find_version(session, line, wanted)
    if version.state != Trust.TRUSTED:
        raise NoTrustedVersionError(
            f"line {line_name}: {version.name} is {version.state}, and only a trusted version is "
            "calibrated; trust it first, or leave --version out for the newest trusted one"
        )
    return version


def trust_named_first(
    sessions: sessionmaker[Session], settings: Settings, watched: LineSettings, now: float
) -> None:
    """Trust the version that the settings name before the line was ever watched."""
    with sessions.begin() as session:
        if was_ever_trusted(session, ensure_line(session, watched.name, now)):
            return
    admit_named(sessions, settings, watched, str(watched.trusted), now)
    with sessions.begin() as session:
        trust_first(session, ensure_line(session, watched.name, now), watched, now)
