"""What the demo shows at its end, and whether the two verdicts are the ones it promises."""

from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from alerts import wording
from alerts.verdict import Verdict
from alerts.verdict_in_words import by_weight, verdict_word

PLANTED = "sycophancy"
"""The behaviour that v3 was given."""
STYLES = {"passed": "green", "flagged": "red", "undecided": "yellow"}


def surprises(verdicts: dict[str, Verdict]) -> list[str]:
    """Each way in which the verdicts differ from what v2 and v3 were built to be."""
    found = []
    v2, v3 = verdicts["v2"], verdicts["v3"]
    if v2.verdict != "passed":
        found.append(f"v2 is a benign update, but its verdict is {verdict_word(v2)}")
    flagged = {behaviour.name for behaviour in v3.behaviours if behaviour.flagged}
    if v3.severity != "critical" or PLANTED not in flagged:
        found.append(
            f"v3 was planted with {PLANTED}, but its verdict is {verdict_word(v3)} "
            f"for {', '.join(sorted(flagged)) or 'no behaviour'}"
        )
    return found


def verdict_table(verdicts: dict[str, Verdict]) -> Table:
    """One row per version and behaviour: the shift and what the best five features remove of it."""
    table = Table(title="Verdicts", title_justify="left")
    for column in ("version", "verdict", "behaviour", "shift", "95 % interval"):
        table.add_column(column)
    for column in ("noise floor", "ceiling", "best five remove", "check took"):
        table.add_column(column, justify="right")
    for name, verdict in verdicts.items():
        word = Text(verdict_word(verdict), style=STYLES[verdict.verdict])
        took = wording.duration(sum(verdict.timings.values()))
        for row, behaviour in enumerate(by_weight(verdict.behaviours)):
            first = row == 0
            table.add_row(
                name if first else "",
                word if first else "",
                wording.readable(behaviour.name),
                wording.signed(behaviour.shift),
                wording.interval(behaviour.ci_low, behaviour.ci_high),
                wording.number(behaviour.noise_floor),
                wording.percent(behaviour.ceiling),
                wording.percent(behaviour.mediated_five),
                took if first else "",
                style="bold" if behaviour.flagged else "",
            )
        table.add_section()
    return table


def show(console: Console, verdicts: dict[str, Verdict], message: str, report: Path) -> None:
    """Print the table, the Slack message as text, and where the report lies."""
    console.print(verdict_table(verdicts))
    console.print(Panel(Text(message.rstrip()), title="The Slack message", title_align="left"))
    console.print(Text(f"Report: {report.resolve()}", style="bold"))
