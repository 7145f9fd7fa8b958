"""The whole estimate of a diff on one machine."""

from pydantic import BaseModel, ConfigDict

from workers.corpora import read_corpora
from workers.cost.diff import PlannedDiff
from workers.cost.machine import Machine
from workers.cost.plan import EFFORT, Assumed
from workers.cost.shape import Shape
from workers.cost.stages import stages_of
from workers.cost.texts import texts_of
from workers.cost.volume import disk_of, memory_of
from workers.inputs import Inputs


class StageCost(BaseModel):
    """One stage; a figure of 0 means that these two models need no such stage."""

    model_config = ConfigDict(frozen=True)

    tokens: float
    """Whole forward passes of one token."""
    flops: float
    traffic_bytes: float
    disk_bytes: float
    minutes: float


class Estimate(BaseModel):
    """What a diff will take. Minutes are of `machine`, one of it, with nothing else to do."""

    model_config = ConfigDict(frozen=True)

    base: str
    candidate: str
    machine: str
    rates: str
    """Where the machine's rates come from."""
    stages: dict[str, StageCost]
    minutes: float
    memory_bytes: dict[str, float]
    peak_bytes: float
    disk_bytes: dict[str, float]
    lacks: list[str]
    """What this machine has too little of."""


def planned(base: Shape, candidate: Shape, inputs: Inputs, assumed: Assumed) -> PlannedDiff:
    """The diff that `inputs` make of two shapes. Raises InputsError."""
    texts = texts_of(inputs, read_corpora(inputs), EFFORT.document_tokens)
    return PlannedDiff(base, candidate, inputs.recipe, texts, assumed)


def estimate(diff: PlannedDiff, machine: Machine) -> Estimate:
    """What `diff` takes on `machine`."""
    stages = {
        name: StageCost(
            tokens=work.tokens,
            flops=work.flops,
            traffic_bytes=work.traffic,
            disk_bytes=work.disk,
            minutes=work.seconds(machine) / 60,
        )
        for name, work in stages_of(diff).items()
    }
    memory, disk = memory_of(diff), disk_of(diff)
    peak, stored = max(memory.values()), sum(disk.values())
    lacks = []
    if peak > machine.memory:
        lacks.append(f"memory: {peak / 1e9:,.0f} GB needed, {machine.memory / 1e9:,.0f} GB there")
    if stored > machine.disk:
        lacks.append(f"disk: {stored / 1e9:,.0f} GB needed, {machine.disk / 1e9:,.0f} GB there")
    return Estimate(
        base=diff.base.name,
        candidate=diff.candidate.name,
        machine=machine.name,
        rates=machine.source,
        stages=stages,
        minutes=sum(stage.minutes for stage in stages.values()),
        memory_bytes=memory,
        peak_bytes=peak,
        disk_bytes=disk,
        lacks=lacks,
    )
