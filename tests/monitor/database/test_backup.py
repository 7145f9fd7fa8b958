"""What docs/operate.md says of backup and restore, done with its own commands."""

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DatabaseError

from monitor.database.opening import open_database
from monitor.database.schema import Base
from monitor.lineage.trust import verify_audit
from tests.monitor.conftest import Sessions
from tests.monitor.filled import answer, fill

GUIDE = Path("docs/operate.md").read_text(encoding="utf-8")


def commands(beginning: str) -> str:
    """The lines of the guide that begin so."""
    found = re.findall(rf"^{re.escape(beginning)}.*$", GUIDE, flags=re.MULTILINE)
    assert len(found) == 1, found
    return str(found[0])


def everything(sessions: Sessions) -> dict[str, list[Any]]:
    with sessions() as session:
        return {
            name: [tuple(row) for row in session.execute(table.select())]
            for name, table in Base.metadata.tables.items()
        }


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_restored_database_has_all_that_was_decided_and_is_guarded_as_before(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data = tmp_path / "data"
    environment = {**os.environ, "DATA_DIR": str(data)}

    def run(command: str) -> None:
        # DATA_DIR stands for a path there, and for a variable here.
        shell = command.replace("DATA_DIR/", "$DATA_DIR/")
        subprocess.run(["bash", "-ec", shell], cwd=tmp_path, env=environment, check=True)

    url = f"sqlite:///{data}/latentwatch.db"
    if kind == "postgresql":
        server = make_url(request.getfixturevalue("postgres"))
        url = f"{server.render_as_string(hide_password=False)}/latentwatch"
        environment |= {
            "LATENTWATCH_DATABASE_URL": url,
            "PGHOST": str(server.host),
            "PGPORT": str(server.port),
            "PGUSER": str(server.username),
        }
        run("createdb latentwatch")
    sessions = open_database(url)
    fill(sessions, time.time())
    run(commands("pg_dump" if kind == "postgresql" else "sqlite3 DATA_DIR"))
    before = everything(sessions)
    answer(sessions, time.time())  # which happened after the backup
    assert everything(sessions) != before
    sessions.kw["bind"].dispose()
    run(commands("pg_restore" if kind == "postgresql" else "cp latentwatch.copy"))

    restored = open_database(url)
    assert everything(restored) == before
    with restored() as session:
        assert verify_audit(session) == []
    with pytest.raises(DatabaseError, match="append-only"), restored.begin() as session:
        session.execute(text("DELETE FROM audit"))
    answer(restored, time.time())
    with restored() as session:
        assert verify_audit(session) == []
    restored.kw["bind"].dispose()
