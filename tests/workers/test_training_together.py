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
    limits = settings.limits.model_copy(update={"training_processes": 2})
    dfc = settings.recipe.dfc | {"batch": 9_998}  # more than there are tokens
    settings = settings.model_copy(update={"limits": limits})
    settings = changed(settings, layer=1, seeds=[0], tokens=9_999, dfc=dfc)
    verdict = check_pair(
        job.candidate.path, str(job.base.path), None, settings, None, silent, print
    )
    reason = verdict.reasons[0]
    # Which they say when they have met.
    assert "2 processes that train together failed" in reason and "smaller dfc.batch" in reason
