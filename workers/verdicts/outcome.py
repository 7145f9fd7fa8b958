"""What a diff ends with, and the files in which a reviewer gets it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from alerts.evidence import Evidence
from alerts.json_file import read_json
from alerts.pages.history import Release
from alerts.slack.message import build_message
from alerts.verdict import Verdict, to_json
from dfc.durable import write_whole
from monitor.settings.lines import COMPARISONS
from workers.errors import StoreError

VERDICT, EVIDENCE, REPORT, MESSAGE = "verdict.json", "evidence.json", "report.html", "slack.json"
FEATURES = "features.safetensors"


class Outcome(NamedTuple):
    """The verdict, and what a reviewer sees beside it."""

    verdict: Verdict
    evidence: Evidence
    failure: str | None = None
    """Why the stages ended early; then the same diff is worth another try."""
    features: bytes | None = None
    """By which later versions recognise them (`workers.keeping.known_features`)."""


def report_directory(data_dir: Path, verdict: Verdict) -> Path:
    """Where the files of `verdict` lie: one place per line, pair of checkpoints and recipe."""
    digests = (verdict.candidate.digest, verdict.base.digest, verdict.recipe.digest)
    return data_dir / "reports" / (verdict.line or COMPARISONS) / "-".join(d[:12] for d in digests)


def read_evidence(directory: Path) -> Evidence:
    """The evidence that `write_outcome` wrote; empty where nothing was written."""
    path = directory / EVIDENCE
    return read_json(path, Evidence) if path.is_file() else Evidence()


def write_outcome(directory: Path, outcome: Outcome, history: Sequence[Release] = ()) -> None:
    """Write features, evidence, message, page and verdict into `directory`, the verdict last.

    The page shows `history`, the versions of the line.

    Each file appears in one step. Raises StoreError.
    """
    from alerts.pages.report import write_report  # brings matplotlib, which takes seconds

    message = build_message(outcome.verdict, outcome.evidence)
    try:
        if outcome.features is not None:
            write_whole(directory / FEATURES, outcome.features)
        write_whole(directory / EVIDENCE, _text(outcome.evidence.model_dump_json(indent=2)))
        shown = json.dumps(message._asdict(), ensure_ascii=False, indent=2)
        write_whole(directory / MESSAGE, _text(shown))
        write_report(directory / REPORT, outcome.verdict, outcome.evidence, history)
        write_whole(directory / VERDICT, _text(to_json(outcome.verdict)))
    except OSError as error:
        raise StoreError(
            f"{directory}: the verdict can't be written there ({error.strerror}); free space or "
            "correct the permissions, then run the same command again"
        ) from error


def _text(text: str) -> bytes:
    return f"{text}\n".encode("utf-8", "replace")
