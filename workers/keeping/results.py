"""The results of checks as alerts show them."""

from pathlib import Path
from urllib.parse import quote

from alerts.evidence import Evidence
from alerts.verdict import Verdict
from monitor.settings import Settings
from workers.keeping.kept_outcomes import evidence_of
from workers.verdicts.outcome import REPORT, report_directory


class StoredResults:
    """What `workers.keeping.kept_outcomes` keeps."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def evidence(self, verdict: Verdict) -> Evidence:
        """What was measured beside the verdict; with a caveat where it can't be read."""
        try:
            return evidence_of(self._settings, verdict)
        except (OSError, ValueError) as error:
            return Evidence(caveats=[f"The evidence can't be read: {error}"[:300]])

    def report_url(self, verdict: Verdict) -> str | None:
        """Where a browser opens the report; None where none is served."""
        served_at = self._settings.alerts.report_url
        if served_at is None:
            return None
        reports = report_directory(Path(), verdict).relative_to("reports")
        return f"{str(served_at).rstrip('/')}/{quote(str(reports / REPORT))}"

    def picture(self, verdict: Verdict, evidence: Evidence) -> bytes:
        """The figures as PNG."""
        from alerts.pages.picture import evidence_picture  # brings matplotlib, which takes seconds

        return evidence_picture(verdict, evidence)
