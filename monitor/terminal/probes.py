"""The terminal's view of probe suites: what a lint found, and what a run measured."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from alerts.plain_text import clip, one_line
from alerts.probes.suite_lint.finding import Finding
from alerts.probes.suite_run import Estimate, Flips, ItemRow, Judgements, SuiteRun
from alerts.wording import (
    NOT_MEASURED,
    count,
    interval,
    number,
    p_value,
    percent,
    readable,
    short_digest,
    signed,
)
from monitor.terminal.tables import add_row, new_table, plain

_STYLES = {"error": "red bold", "warning": "yellow"}
_NAMED_ITEMS = 3
"""Ids of a finding that are shown; JSON has them all."""
SHOWN_ITEMS = 10
"""Items of a run that are shown, those that moved or score the most; JSON has them all."""
_LONGEST_ANSWER = 240
"""Characters of a model's answer that are shown."""


def findings_view(path: Path, findings: Sequence[Finding]) -> RenderableType:
    """What was found in one file."""
    lines: list[RenderableType] = []
    for finding in findings:
        lines.append(
            Text.assemble(
                one_line(str(path)) + ": ",
                (finding.level, _STYLES[finding.level]),
                " "
                + one_line(f"{finding.code}: {finding.field}: {finding.said}; {finding.remedy}"),
            )
        )
        if finding.items:
            lines.append(Text("    " + _some(finding.items)))
    return Group(*(lines or [plain(f"{path}: nothing to mend")]))


def run_view(run: SuiteRun) -> RenderableType:
    """What one suite measured, the items with the largest change or score first."""
    parts: list[RenderableType] = [_summary(run), plain(_counted(run)), *_left_out(run)]
    if run.flips is not None:
        parts.append(_flips(run.flips))
    parts.append(_items(run))
    if run.judgements is not None:
        parts += _judgements(run.judgements)
    return Group(*parts)


def _summary(run: SuiteRun) -> Table:
    table = new_table(readable(run.behaviour), "nats per token", "95 % interval", "")
    for name, model in (("base", run.base), ("candidate", run.candidate)):
        if model is not None:
            at = f"{model.locator} ({short_digest(model.digest)})"
            if model.accuracy is not None:
                at = f"accuracy {percent(model.accuracy)}, {at}"
            _estimate_row(table, name, model.mean, at)
    if run.base is not None and run.role == "behaviour":
        if run.shift is None:
            add_row(table, "shift", NOT_MEASURED, "", "too little of the suite applies and scored")
        else:
            ends = interval(run.shift.ci_low, run.shift.ci_high)
            add_row(table, "shift", signed(run.shift.value), ends, "candidate minus base, by item")
    return table


def _counted(run: SuiteRun) -> str:
    said = count(run.n_items, "item")
    if run.n_not_applicable:
        said += f", {run.n_not_applicable} not applicable (a model does not know the fact)"
    said += f", {run.n_unscored} unscored"
    if run.shift is not None:
        said += f"; {p_value(run.shift.p)}, one-sided, of this suite alone"
    return f"{said}."


def _left_out(run: SuiteRun) -> list[Text]:
    """The ids of the items that no figure counts, by the reason."""
    unknown = [row.id for row in run.items if row.not_known_to]
    unscored = [
        row.id
        for row in run.items
        if not row.not_known_to
        and (row.candidate is None or (run.base is not None and row.base is None))
    ]
    found = {"not applicable": unknown, "unscored": unscored}
    return [plain(f"{why}: {', '.join(map(one_line, ids))}") for why, ids in found.items() if ids]


def _flips(flips: Flips) -> Table:
    known = f"flips on {flips.n_known} known of {flips.n_items} facts"
    table = new_table(known, "share", "95 % interval", "")
    for name, estimate in (("base", flips.base), ("candidate", flips.candidate)):
        if estimate is not None:
            _estimate_row(table, name, estimate)
    if flips.difference is not None:
        _estimate_row(table, "difference", flips.difference, "candidate minus base, by item")
    return table


def _estimate_row(table: Table, name: str, estimate: Estimate | None, note: str = "") -> None:
    if estimate is None:
        add_row(table, name, NOT_MEASURED, "", "fewer than two templates were scored")
    else:
        ends = interval(estimate.ci_low, estimate.ci_high)
        if estimate.ci_low is None:
            ends = "none: all items say the same"
        add_row(table, name, number(estimate.value), ends, note)


def _items(run: SuiteRun) -> Table:
    rows = sorted((row for row in run.items if not row.not_known_to), key=_size, reverse=True)
    table = new_table(f"item (largest {SHOWN_ITEMS})", "template", "base", "candidate", "change")
    for row in rows[:SHOWN_ITEMS]:
        base = "" if run.base is None else number(row.base)
        add_row(
            table,
            row.id,
            row.template,
            base,
            number(row.candidate),
            "" if run.base is None else signed(_change(row)),
        )
    return table


def _size(row: ItemRow) -> float:
    change = row.candidate if row.base is None else _change(row)
    return abs(change or 0.0)


def _change(row: ItemRow) -> float | None:
    if row.base is None or row.candidate is None:
        return None
    return row.candidate - row.base


def _judgements(found: Judgements) -> list[RenderableType]:
    judge = "nobody" if found.judge is None else found.judge
    table = new_table(f"judged by {judge}", "items")
    add_row(table, "the candidate shows more of it", str(found.candidate_more))
    add_row(table, "the base shows more of it", str(found.base_more))
    add_row(table, "neither", str(found.neither))
    for reason, n in found.unscored.items():
        add_row(table, f"unscored: {reason}", str(n))
    net = new_table("share of candidate minus share of base", "", "95 % interval", "")
    _estimate_row(net, "net", found.net)
    answers = new_table(f"answers (first {SHOWN_ITEMS})", "base", "candidate", "more")
    for judged in found.items[:SHOWN_ITEMS]:
        texts = [clip(one_line(text), _LONGEST_ANSWER) for text in (judged.base, judged.candidate)]
        add_row(answers, judged.item, *texts, judged.more or f"unscored: {judged.unscored}")
    return [table, net, answers]


def _some(ids: Sequence[str]) -> str:
    shown = ", ".join(one_line(id) for id in ids[:_NAMED_ITEMS])
    left = len(ids) - _NAMED_ITEMS
    return f"{shown} and {left} more" if left > 0 else shown
