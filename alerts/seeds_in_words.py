"""What further trainings of the crosscoder have found, in lines for Slack and the terminal."""

from typing import Literal

from alerts.question import BehaviourBySeed, SeedAgreement, SeedsTried
from alerts.records.behaviour import SeedMediation
from alerts.wording import NOT_MEASURED, count, number, percent, readable

_PARTS: tuple[tuple[Literal["best", "five", "all"], str], ...] = (
    ("best", "its best feature removes"),
    ("five", "its best five"),
    ("all", "all exclusive ones"),
)


def seeds_lines(tried: SeedsTried) -> list[str]:
    """How far the seeds agree, behaviour by behaviour and seed by seed."""
    lines = [_agreement(tried, one) for one in tried.seeds[1:]]
    if not tried.behaviours:
        lines.append("No shift rose in both halves of its items, so no part of one was measured.")
    for behaviour in tried.behaviours:
        lines.append(_over_seeds(behaviour))
        lines += [f"{_name(tried, n)}: {_one_seed(one)}" for n, one in enumerate(behaviour.by_seed)]
    return lines


def _agreement(tried: SeedsTried, one: SeedAgreement) -> str:
    name, similar = _name(tried, tried.seeds.index(one)), list(one.similarity.values())
    if not similar:
        return f"{name}: the check has listed no feature of the candidate to look for"
    again = sum(value >= tried.similar for value in similar)
    return (
        f"{name}: finds {again} of {count(len(similar), 'listed feature')} again (similarity "
        f"{tried.similar:g} or more); their similarity is {number(min(similar))} to "
        f"{number(max(similar))}"
    )


def _name(tried: SeedsTried, index: int) -> str:
    of_check = " (of the check)" if index < tried.n_known else ""
    return f"seed {tried.seeds[index].seed}{of_check}"


def _over_seeds(behaviour: BehaviourBySeed) -> str:
    seeds = behaviour.by_seed
    parts = [f"{name} {_spread([getattr(seed, part) for seed in seeds])}" for part, name in _PARTS]
    above = sum(seed.beats_control for seed in seeds)
    items = "" if behaviour.n_items is None else f", on {count(behaviour.n_items, 'item')}"
    return (
        f"{readable(behaviour.name)}, over {count(len(seeds), 'seed')}{items}: {'; '.join(parts)}; "
        f"the best five remove more than their control in {above} of {len(seeds)}"
    )


def _spread(values: list[float | None]) -> str:
    """Mean, range and how many were measured."""
    measured = [value for value in values if value is not None]
    if not measured:
        return NOT_MEASURED
    mean = sum(measured) / len(measured)
    return (
        f"{percent(mean)} on average (range {percent(min(measured))} to {percent(max(measured))}, "
        f"n = {len(measured)})"
    )


def _one_seed(seed: SeedMediation) -> str:
    return (
        f"best {percent(seed.best)}, five {percent(seed.five)}, all {percent(seed.all)}, "
        f"controls up to {percent(seed.control_p95)}"
    )
