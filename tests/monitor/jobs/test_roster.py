"""Names of workers: each is one living worker's."""

from monitor.database.schema import Lease, WorkerRow
from monitor.jobs.roster import SILENT_AFTER_SECONDS, sign_in, sign_out, take_name
from monitor.owner import this_process
from tests.monitor.conftest import BOTH_DATABASES, Sessions

ELSEWHERE = "another-host:7:1.00"


@BOTH_DATABASES
def test_a_name_belongs_to_one_living_worker(sessions: Sessions) -> None:
    with sessions.begin() as session:
        assert take_name(session, "gpu-0", this_process(), 0.0)
        assert take_name(session, "gpu-1", ELSEWHERE, 0.0)
    with sessions.begin() as session:
        assert take_name(session, "gpu-0", this_process(), 10.0)  # keeps it
        assert not take_name(session, "gpu-0", ELSEWHERE, 20.0)
        assert take_name(session, "gpu-0", ELSEWHERE, 11.0 + SILENT_AFTER_SECONDS)


def test_who_ends_gives_its_name_back(sessions: Sessions) -> None:
    with sessions.begin() as session:
        take_name(session, "gpu-0", ELSEWHERE, 0.0)
        sign_in(session, "gpu-0", ["gpu"], "0", 0.0, now=0.0)
        sign_out(session, "gpu-0")
        assert session.get(WorkerRow, "gpu-0") is None
        assert session.query(Lease).count() == 0
        assert take_name(session, "gpu-0", this_process(), 1.0)
