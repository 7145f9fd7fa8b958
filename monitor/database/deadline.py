"""Connections that end at a deadline, whatever the server does.

A statement timeout is kept by the server, so one that hangs, or a network that loses everything,
would outlast it.
"""

import os
import socket
import sqlite3
import threading
import time
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, event

_INSTRUCTIONS = 10_000
"""Of SQLite, after which it is asked whether to go on."""


def end_after(engine: Engine, seconds: float) -> None:
    """Have every connection of `engine` fail at what it does `seconds` after it was made."""

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            until = time.monotonic() + seconds
            connection.set_progress_handler(lambda: time.monotonic() > until, _INSTRUCTIONS)
            return
        timer = threading.Timer(seconds, _hang_up, [connection])
        timer.daemon = True
        timer.start()
        record.info["deadline"] = timer

    @event.listens_for(engine, "close")
    def _on_close(_connection: Any, record: Any) -> None:
        if "deadline" in record.info:
            record.info["deadline"].cancel()


def _hang_up(connection: Any) -> None:
    # Whoever waits for an answer reads the end of the stream, and the connection is closed there.
    with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
