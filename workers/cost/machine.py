"""What a machine does in a second, as far as a diff uses it."""

from typing import NamedTuple

GiB = 2**30


class Machine(NamedTuple):
    """Rates that are kept up over a whole stage, not peaks of a data sheet."""

    name: str
    flops: float
    """Of matrix products, per second."""
    memory_rate: float
    """Bytes per second between memory and arithmetic."""
    disk_rate: float
    """Bytes per second that are read from disk and digested."""
    memory: int
    """Bytes for models and training."""
    disk: int
    """Bytes for downloads, activations and results."""
    source: str
    """Where the rates come from."""


_SHARE = "40 % of the data sheet's dense bfloat16 rate and 60 % of its bandwidth: not measured"

MACHINES = {
    machine.name: machine
    for machine in (
        Machine(
            "cpu-2",
            0.25e12,
            20e9,
            0.4e9,
            16 * GiB,
            100 * GiB,
            "set by eye to the demo (docs/scale.md)",
        ),
        Machine("a100", 125e12, 1.2e12, 1e9, 80 * 10**9, 2000 * GiB, _SHARE),
        Machine("h100", 396e12, 2.0e12, 1e9, 80 * 10**9, 2000 * GiB, _SHARE),
        Machine("h200", 396e12, 2.9e12, 1e9, 141 * 10**9, 2000 * GiB, _SHARE),
        Machine(
            "8xh100", 2218e12, 11e12, 2e9, 640 * 10**9, 8000 * GiB, f"{_SHARE}, 70 % of eight such"
        ),
    )
}
