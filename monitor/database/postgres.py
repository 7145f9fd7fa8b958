"""Opening the PostgreSQL database, for workers on more than one host.

Transactions take one lock for all of latentwatch when they begin, so they run one after the other
as on SQLite: what was read can't change before it is written, and the audit log is one chain. Who
holds a transaction open and does nothing is thrown out after IDLE_SECONDS. A connection whose other
end is gone without a word fails after SILENT_SECONDS, long before a lease has run out.
"""

from typing import Any

from sqlalchemy import URL, Engine, create_engine, event

IDLE_SECONDS = 60.0
SILENT_SECONDS = 20
"""Until what was sent has to be acknowledged by the other host; its kernel does, however busy the
server is."""
_LOCK = 0x6C77_0001


def connect(url: URL, wait_seconds: float) -> Engine:
    """An engine whose transactions exclude each other; they wait for `wait_seconds` at most."""
    engine = _engine(url, 10, lock_timeout=wait_seconds)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")

    return engine


def connect_reader(url: URL, statement_seconds: float, connect_seconds: int = 10) -> Engine:
    """An engine for what only reads: it waits for nobody, and sees one state per transaction.

    No statement takes longer than `statement_seconds`, whatever it waits for.
    """
    engine = _engine(url, connect_seconds, statement_timeout=statement_seconds)
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _engine(url: URL, connect_seconds: int, **timeouts: float) -> Engine:
    timeouts["idle_in_transaction_session_timeout"] = IDLE_SECONDS
    options = (f"-c {name}={int(seconds * 1000)}" for name, seconds in timeouts.items())
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,  # else the first transaction after a restart of the server fails
        connect_args={
            "connect_timeout": connect_seconds,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": SILENT_SECONDS * 1000,  # by itself the kernel tries for 15 minutes
            "application_name": "latentwatch",
            "options": " ".join(options),
        },
    )
