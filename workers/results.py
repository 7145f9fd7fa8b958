"""The results of checks as alerts show them, read from the data directory."""

from pathlib import Path
from urllib.parse import quote

from alerts.evidence import Evidence
from alerts.verdict import Verdict
from workers.outcome import REPORT, read_evidence, report_directory


class StoredResults:
    """What `workers.outcome` has written below `data_dir`; `served_at` is the URL under which the
    directory `reports` of it is served, None where it isn't."""

    def __init__(self, data_dir: Path, served_at: str | None) -> None:
        self._data_dir, self._served_at = data_dir, served_at

    def evidence(self, verdict: Verdict) -> Evidence:
        """What was measured beside the verdict; with a caveat where it can't be read."""
        try:
            return read_evidence(report_directory(self._data_dir, verdict))
        except (OSError, ValueError) as error:
            return Evidence(caveats=[f"The evidence can't be read: {error}"[:300]])

    def report_url(self, verdict: Verdict) -> str | None:
        """Where a browser opens the report; None where none is served."""
        if self._served_at is None:
            return None
        reports = report_directory(Path(), verdict).relative_to("reports")
        return f"{self._served_at.rstrip('/')}/{quote(str(reports / REPORT))}"

    def picture(self, verdict: Verdict, evidence: Evidence) -> bytes:
        """The figures as PNG."""
        from alerts.picture import evidence_picture  # brings matplotlib, which takes seconds

        return evidence_picture(verdict, evidence)
