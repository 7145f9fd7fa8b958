"""For who watches while workers in other processes compare. Free of torch."""

import time

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from monitor.database.schema import Diff, DiffState
from monitor.jobs.outbox import relay
from monitor.settings import Settings
from workers.dispatch.celery_app import make_app, send
from workers.dispatch.claim import present_recipe

_POLL_SECONDS = 1.0


class RemoteWorker:
    """Wakes workers for what is queued; with `wait`, `run_queued` returns when all has ended."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        settings: Settings,
        *,
        wait: bool,
    ) -> None:
        self._sessions, self._settings = sessions, settings
        self._app = make_app(settings)
        self._wait = wait

    def recipe_digest(self) -> str:
        """The recipe by which workers with the same settings compare. Raises InputsError."""
        return present_recipe(self._settings)

    def run_queued(self) -> None:
        """Raises BrokerError when no worker can be woken; nothing is lost then."""
        self._wake()
        while self._wait and self._under_way():
            time.sleep(_POLL_SECONDS)
            self._wake()  # what is tried again after a crash

    def run_next(self) -> bool:
        """Wake workers; it is they who run what is queued. Raises BrokerError as `run_queued`."""
        self._wake()
        return False

    def _wake(self) -> None:
        relay(self._sessions, lambda message: send(self._app, message), time.time())

    def _under_way(self) -> bool:
        active = (DiffState.QUEUED, DiffState.RUNNING)
        with self._sessions() as session:
            count = select(func.count()).select_from(Diff).where(Diff.state.in_(active))
            return session.scalar(count) != 0
