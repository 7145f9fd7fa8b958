"""The process in which one question about an alert is answered, isolated as
`workers.processes.isolated_process` says, without any network."""

from typing import Any

from alerts.question import Asked
from monitor.settings import Settings
from workers.processes.isolated_process import Work, run
from workers.processes.template_trial import try_templates
from workers.progress import DiffProgress


class QuestionWork(Work):
    """What the parent writes to standard input."""

    asked: Asked
    shifted: tuple[str, ...]
    """Behaviours that the comparison flagged."""


def _answer(work: QuestionWork, settings: Settings, progress: DiffProgress) -> dict[str, Any]:
    from workers.answering import answer
    from workers.keeping.store import LocalStore

    for side in (work.job.base, work.job.candidate):
        try_templates(side.path)
    store = LocalStore(settings.store_dir)
    answered = answer(work.job, work.asked, work.shifted, settings, store, progress)
    return {"event": "outcome", "answer": answered.model_dump(mode="json")}


if __name__ == "__main__":
    run(QuestionWork, _answer)
