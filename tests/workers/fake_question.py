"""Answers nothing: what it does follows from the prompt, as `tests.workers.fake_diff` does by name.

killed dies as if it were out of memory, hang says nothing any more, slow takes steps until a file
`go` appears beside the candidate, foreign tells an answer that is none. Every start is noted in a
file beside the candidate.
"""

import os
import signal
import time
from typing import Any

from alerts.question import PromptAsked
from monitor.settings import Settings
from tests.alerts.steered import steered
from workers.processes.isolated_process import run
from workers.processes.question_process import QuestionWork
from workers.progress import DiffProgress


def answer(work: QuestionWork, settings: Settings, progress: DiffProgress) -> dict[str, Any]:
    candidate = work.job.candidate.path
    with (candidate.parent / "question.starts").open("a") as starts:
        starts.write(f"{os.getpid()} {sorted(os.environ)}\n")
    assert isinstance(work.asked, PromptAsked)
    kind = work.asked.prompt
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        os.kill(os.getpid(), signal.SIGSTOP)
    while kind == "slow" and not (candidate.parent / "go").exists():
        progress.step("answers", 0, 5)
        time.sleep(0.05)
    if kind == "foreign":
        return {"event": "outcome", "answer": {"kind": "prompt", "base": 7}}
    return {"event": "outcome", "answer": steered("yes").model_dump(mode="json")}


if __name__ == "__main__":
    run(QuestionWork, answer)
