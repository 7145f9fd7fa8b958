"""What a diff will take, as tables for a terminal."""

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from workers.cost.estimate import Estimate


def cost_view(cost: Estimate) -> RenderableType:
    """Minutes by stage, memory by moment, disk by kind, and what does not fit."""
    return Group(
        Text(f"{cost.candidate} against {cost.base} on {cost.machine} ({cost.rates})"),
        _stages(cost),
        _bytes("Memory at once, the fullest moments", cost.memory_bytes, cost.peak_bytes, "most"),
        _bytes("Disk", cost.disk_bytes, sum(cost.disk_bytes.values()), "sum"),
        *(Text(f"does not fit: {lack}", style="bold red") for lack in cost.lacks),
    )


def _stages(cost: Estimate) -> Table:
    table = Table("Stage", *(_right(name) for name in ("tokens", "TFLOP", "GB moved", "minutes")))
    for name, stage in cost.stages.items():
        table.add_row(
            name,
            f"{stage.tokens:,.0f}",
            f"{stage.flops / 1e12:,.1f}",
            f"{(stage.traffic_bytes + stage.disk_bytes) / 1e9:,.1f}",
            f"{stage.minutes:,.2f}",
        )
    table.add_section()
    table.add_row("sum", "", "", "", f"{cost.minutes:,.1f}")
    return table


def _bytes(title: str, amounts: dict[str, float], total: float, word: str) -> Table:
    table = Table(title, _right("GB"))
    for name, amount in amounts.items():
        table.add_row(name, f"{amount / 1e9:,.2f}")
    table.add_section()
    table.add_row(word, f"{total / 1e9:,.2f}")
    return table


def _right(name: str) -> Column:
    return Column(name, justify="right")
