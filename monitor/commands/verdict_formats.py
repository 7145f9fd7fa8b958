"""How a verdict is printed, whichever command has it."""

from collections.abc import Callable

from alerts.pages.junit import to_junit
from alerts.pages.markdown import to_markdown
from alerts.pages.sarif import to_sarif
from alerts.verdict import Severity, Verdict, to_json
from monitor.commands.console import show, write
from monitor.commands.options import Format
from monitor.terminal import tables

_WRITTEN: dict[Format, Callable[[Verdict], str]] = {
    Format.JSON: to_json,
    Format.MARKDOWN: to_markdown,
    Format.SARIF: to_sarif,
}


def print_verdict(verdict: Verdict, format_: Format, fail_on: Severity) -> None:
    """Print it; of JUnit a flagged verdict is a failure from the severity `fail_on` on."""
    if format_ is Format.JUNIT:
        write(to_junit(verdict, fail_on))
    elif format_ in _WRITTEN:
        write(_WRITTEN[format_](verdict))
    else:
        show(tables.verdict_view(verdict))
