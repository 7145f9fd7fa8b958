"""The terminal's view of lines, versions and verdicts.

Everything is `Text`, never rich markup: names, reasons and tokens may hold brackets.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from alerts.behaviour_in_words import cause_sentences, conformal
from alerts.plain_text import one_line
from alerts.records.behaviour import Behaviour
from alerts.verdict import Verdict
from alerts.verdict_in_words import (
    by_weight,
    calibration_sentence,
    headline,
    recommended_action,
    verdict_word,
)
from alerts.wording import interval, number, p_value, readable, signed, small
from monitor.lineage.overview import LineRow, VersionRow
from monitor.settings import Settings

_STYLES = {
    "passed": "green",
    "trusted": "green bold",
    "flagged": "red bold",
    "quarantined": "red",
    "undecided": "yellow",
}


def lines_table(rows: Sequence[LineRow], settings: Settings) -> Table:
    """One row per line, also for those that are watched but were not looked at yet."""
    table = new_table("line", "trusted", "calibrated", "versions", "source")
    known = {row.name: row for row in rows}
    watched = {line.name: line for line in settings.lines}
    for name in sorted(known.keys() | watched.keys()):
        row = known.get(name, LineRow(name, [], {}))
        counts = ", ".join(f"{count} {state}" for state, count in sorted(row.states.items()))
        source = str(watched[name].source) if name in watched else "not watched"
        calibrated = "no" if row.calibrated_at is None else moment(row.calibrated_at)
        trusted = ", ".join(row.trusted) or "none"
        add_row(table, name, trusted, calibrated, counts or "none yet", source)
    return table


def versions_table(line: str, rows: Sequence[VersionRow]) -> Table:
    """One row per version or refused push."""
    table = new_table("version", "state", "verdict", "seen", "digest", "why", title=line)
    for row in rows:
        add_row(
            table,
            ", ".join([row.name, *row.aliases]),
            Text(row.state, _STYLES.get(row.state, "")),
            verdict_word(row.verdict) if row.verdict else "none",
            moment(row.seen_at),
            row.digest[:12] if row.digest else "none",
            row.reason or "",
        )
    return table


def verdict_view(verdict: Verdict) -> RenderableType:
    """A verdict as a person reads it: outcome, reasons, shifts, causes, what to do."""
    parts: list[RenderableType] = [
        plain(verdict_word(verdict), _STYLES[verdict.verdict]),
        plain(headline(verdict)),
        *(plain(f"- {reason}") for reason in verdict.reasons),
    ]
    if verdict.behaviours:
        parts.append(_behaviours(by_weight(verdict.behaviours)))
    if calibration := calibration_sentence(verdict):
        parts.append(plain(calibration))
    for behaviour in by_weight(verdict.behaviours):
        if behaviour.flagged:
            causes = " ".join(cause_sentences(behaviour, verdict.recipe.layer))
            parts.append(plain(f"{readable(behaviour.name)}: {causes}"))
    if verdict.features:
        table = new_table("feature", "top tokens", "density")
        for feature in verdict.features:
            tokens = " ".join(repr(token) for token in feature.top_tokens[:6])
            add_row(table, feature.id, tokens, small(feature.density))
        parts.append(table)
    return Group(*parts, plain(recommended_action(verdict)))


def version_view(details: dict[str, Any], verdict: Verdict | None) -> RenderableType:
    """One version: what it is, how it came to its state, and its latest verdict."""
    facts = new_table("", "")
    facts.show_header = False
    for name in ("name", "state", "reason", "content_digest", "weights_digest", "shape"):
        add_row(facts, readable(name), str(details[name] or ""))
    for seen in details["seen"]:
        add_row(facts, "seen", f"{moment(seen['seen_at'])} {seen['name']} at {seen['locator']}")
    for diff in details["diffs"]:
        base = diff["base"]["name"] or diff["base"]["digest"][:12]
        state = f"{diff['state']} {diff['stage'] or ''}".strip()
        add_row(facts, f"compared with {base}", diff["error"] or state)
    for row in details["history"]:
        moved = f"{row['from_state']} to {row['to_state']} by {row['actor']}: {row['reason']}"
        add_row(facts, moment(row["at"]), moved)
    return facts if verdict is None else Group(facts, verdict_view(verdict))


def moment(seconds: float) -> str:
    """A time in seconds since the epoch, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _behaviours(behaviours: Sequence[Behaviour]) -> Table:
    table = new_table(
        "behaviour",
        "base",
        "candidate",
        "shift",
        "95 % interval",
        "p",
        "noise floor",
        "conformal p, uncorrected",
    )
    for b in behaviours:
        add_row(
            table,
            Text(readable(b.name), _STYLES["flagged"] if b.flagged else ""),
            number(b.base_score),
            number(b.candidate_score),
            signed(b.shift),
            interval(b.ci_low, b.ci_high),
            p_value(b.p_corrected),
            number(b.noise_floor),
            conformal(b),
        )
    return table


def new_table(*columns: str, title: str | None = None) -> Table:
    table = Table(title=None if title is None else plain(title), title_justify="left", box=None)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def add_row(table: Table, *cells: str | Text) -> None:
    table.add_row(*(cell if isinstance(cell, Text) else plain(cell) for cell in cells))


def plain(content: str, style: str = "") -> Text:
    return Text(one_line(content), style)
