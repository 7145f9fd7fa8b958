"""The worker with a switch for faults, each of which the boot checks must find."""

from collections.abc import Callable

from dfc.vllm.plans import Step
from dfc.vllm.worker import InstrumentedWorker


def _start_over(step: Step) -> Step:
    """Every chunk of a prompt, and every written token, is taken for the beginning."""
    return Step(tuple(segment._replace(position=0) for segment in step.segments))


def _exchanged(step: Step) -> Step:
    """What one row asks is done to another."""
    plans = [segment.plan for segment in reversed(step.segments)]
    return Step(tuple(s._replace(plan=p) for s, p in zip(step.segments, plans, strict=True)))


def _only_prompts(step: Step) -> Step:
    """A captured graph runs decoding as it was before there were edits."""
    return Step(tuple(s if s.stop - s.start > 1 else s._replace(plan=None) for s in step.segments))


FAULTS: dict[str, Callable[[Step], Step]] = {
    "no hooks": lambda step: Step(),
    "positions start over": _start_over,
    "rows exchanged": _exchanged,
    "decoding without edits": _only_prompts,
}


class FaultyWorker(InstrumentedWorker):
    """Works as its parent until a fault is switched on."""

    def latentwatch_fault(self, name: str | None) -> None:
        vars(self.instrument).pop("begin", None)
        if name is not None:
            begin, spoil = self.instrument.begin, FAULTS[name]
            self.instrument.begin = lambda step: begin(spoil(step))
