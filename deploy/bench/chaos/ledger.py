"""Every attempt to write what came of a try, taken or refused, in a record that only grows.

The service's own rows can't tell: a second result of the same verdict leaves them as they were. The
record is a table of the harness in the same database, written in the same transaction.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.orm import Session, sessionmaker

from monitor.database.schema import Diff, DiffState
from monitor.errors import LeaseLostError
from workers.dispatch.claim import Claim
from workers.dispatch.conclusion import Conclusion
from workers.processes.supervisor import Ending
from workers.verdicts.outcome import Outcome

Conclude = Callable[[Claim, Outcome | Ending], Conclusion]

_tables = MetaData()
_ATTEMPTS = Table(
    "chaos_attempts",
    _tables,
    Column("id", Integer, primary_key=True),
    *(Column(name, Integer, nullable=False) for name in ("diff_id", "fence", "newest")),
    Column("was", String, nullable=False),
    Column("became", String),
)


class Attempt(NamedTuple):
    """Somebody wrote what came of a try, or wanted to."""

    diff_id: int
    fence: int
    """Under which the try was claimed."""
    newest: int
    """The row's fence at that moment."""
    was: str
    """The row's state before."""
    became: str | None
    """The row's state afterwards; None where the write was refused."""


def prepare(sessions: sessionmaker[Session]) -> None:
    """Create the record, empty."""
    _tables.create_all(sessions.kw["bind"])


def recorded(conclude: Conclude) -> Conclude:
    """`conclude`, whose conclusions note every attempt to write them."""

    def concluded(claim: Claim, ended: Outcome | Ending) -> Conclusion:
        conclusion = conclude(claim, ended)

        def write(session: Session, now: float) -> None:
            row = select(Diff.fence, Diff.state).where(Diff.id == claim.diff_id)
            newest, was = session.execute(row).one()
            attempt = Attempt(claim.diff_id, claim.fence, newest, was, None)
            try:
                conclusion.write(session, now)
            except LeaseLostError:
                session.rollback()  # which the caller would do; the attempt must outlive it
                with session.get_bind().engine.begin() as connection:
                    connection.execute(insert(_ATTEMPTS).values(attempt._asdict()))
                raise
            session.flush()
            _, became = session.execute(row).one()
            session.execute(insert(_ATTEMPTS).values(attempt._replace(became=became)._asdict()))

        return conclusion._replace(write=write)

    return concluded


def attempts(session: Session) -> list[Attempt]:
    """All of them, oldest first."""
    columns = [_ATTEMPTS.c[name] for name in Attempt._fields]
    return [Attempt(*row) for row in session.execute(select(*columns).order_by(_ATTEMPTS.c.id))]


def stale_refused(session: Session) -> int:
    """How often somebody who no longer had the lease was refused.

    Who asks again because the answer to a write was lost is refused too, but not stale.
    """
    noted = attempts(session)
    taken = {(one.diff_id, one.fence) for one in noted if one.became is not None}
    refused = [(one.diff_id, one.fence) for one in noted if one.became is None]
    return sum(one not in taken for one in refused)


def problems(session: Session) -> list[str]:
    """Where a write was taken that was none of the newest claim's, or a diff has not exactly one
    verdict, under its newest fence."""
    taken = [one for one in attempts(session) if one.became is not None]
    found = [
        f"diff {one.diff_id}: what came of claim {one.fence} was taken when the row was {one.was} "
        f"under claim {one.newest}"
        for one in taken
        if (one.was, one.newest) != (DiffState.RUNNING, one.fence)
    ]
    verdicts = Counter((one.diff_id, one.fence) for one in taken if one.became == DiffState.DONE)
    for diff in session.scalars(select(Diff)):
        of_diff = {fence: n for (diff_id, fence), n in verdicts.items() if diff_id == diff.id}
        if of_diff != ({diff.fence: 1} if diff.state == DiffState.DONE else {}):
            found.append(
                f"diff {diff.id}: is {diff.state} under claim {diff.fence}, with verdicts by claim "
                f"{of_diff}"
            )
    return found
