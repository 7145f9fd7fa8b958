"""What Celery calls. Thin: the work is in `workers.dispatch.supervised`."""

from celery import Celery

from workers.dispatch.celery_app import COMPARE
from workers.dispatch.supervised import run_due
from workers.dispatch.workplace import Workplace


def add_tasks(app: Celery, place: Workplace) -> None:
    """Have workers of `app` compare at `place`."""

    @app.task(name=COMPARE)
    def compare(diff_id: int) -> None:
        run_due(place, diff_id)
