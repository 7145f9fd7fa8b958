"""Which URLs name a database: SQLite for one host, PostgreSQL for more."""

from pydantic import SecretStr
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from monitor.errors import DatabaseError


def parsed_url(url: str | SecretStr) -> URL:
    """The parts of `url`. Raises DatabaseError where it names no database of these kinds."""
    try:
        parsed = make_url(url.get_secret_value() if isinstance(url, SecretStr) else url)
    except ArgumentError as error:
        raise DatabaseError(
            "database_url: is no database URL; write sqlite:///PATH or postgresql://USER@HOST/NAME"
        ) from error
    backend, database = parsed.get_backend_name(), parsed.database
    if backend not in ("sqlite", "postgresql") or database in (None, "", ":memory:"):
        raise DatabaseError(
            f"database_url: {parsed} must have the form sqlite:///PATH or "
            "postgresql://USER@HOST/NAME"
        )
    return parsed
