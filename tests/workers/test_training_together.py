"""A check may train in several processes, although the one that starts them has no network."""

from collections.abc import Iterator
from contextlib import contextmanager

from monitor.settings import Settings
from tests.workers.conftest import Silent, changed
from workers.check import check_pair
from workers.job import Job


@contextmanager
def silent() -> Iterator[Silent]:
    yield Silent()


def test_processes_that_train_together_find_each_other(job: Job, settings: Settings) -> None:
    limits = settings.limits.model_copy(update={"training_processes": 3})
    settings = changed(settings.model_copy(update={"limits": limits}), layer=1, seeds=[0])
    verdict = check_pair(
        job.candidate.path, str(job.base.path), None, settings, None, silent, print
    )
    # Which they say when they have met.
    assert "32 tokens can't be divided among 3 processes that train together" in verdict.reasons[0]
