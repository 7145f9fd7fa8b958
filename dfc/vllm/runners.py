"""Where vLLM's model runners say which rows lie where in the next step.

These are private surfaces of vLLM 0.32, two of them: that of the runner it uses on a CPU, and that
of the second version of its runner, its default on CUDA. What is missing is an error at start.
"""

from collections.abc import Callable
from typing import Any

from dfc.errors import ModelError
from dfc.vllm.plans import Plan, Step, step_of

FIRST = ("_prepare_inputs", "input_batch", "query_start_loc", "requests")
SECOND = ("prepare_inputs", "add_requests")


def announce_steps(runner: Any, begin: Callable[[Step], None]) -> str:
    """Call ``begin`` before every forward pass of ``runner``; returns which surface it has.

    Raises ModelError when it has neither.
    """
    if all(hasattr(runner, name) for name in FIRST):
        _announce_first(runner, begin)
        return "v1"
    if all(hasattr(runner, name) for name in SECOND):
        _announce_second(runner, begin)
        return "v2"
    raise ModelError(
        f"vLLM's {type(runner).__name__} has neither {', '.join(FIRST)} nor {', '.join(SECOND)}; "
        "install the version of vLLM that the extra [vllm] asks for"
    )


def _announce_first(runner: Any, begin: Callable[[Step], None]) -> None:
    prepare = runner._prepare_inputs

    def prepared(*args: Any, **kwargs: Any) -> Any:
        inputs = prepare(*args, **kwargs)
        # Only now: preparing may reorder the rows.
        batch = runner.input_batch
        rows = batch.req_ids[: batch.num_reqs]
        plans = [_plan(runner.requests[row].sampling_params) for row in rows]
        begin(step_of(plans, runner.query_start_loc.np, batch.num_computed_tokens_cpu))
        return inputs

    runner._prepare_inputs = prepared


def _announce_second(runner: Any, begin: Callable[[Step], None]) -> None:
    prepare, add = runner.prepare_inputs, runner.add_requests
    plans: dict[str, Plan | None] = {}

    def added(scheduler_output: Any) -> Any:
        for row in scheduler_output.finished_req_ids:
            plans.pop(row, None)
        for request in scheduler_output.scheduled_new_reqs:
            plans[request.req_id] = _plan(request.sampling_params)
        return add(scheduler_output)

    def prepared(*args: Any, **kwargs: Any) -> Any:
        batch = prepare(*args, **kwargs)
        rows = [plans[row] for row in batch.req_ids]
        begin(step_of(rows, batch.query_start_loc_np, batch.num_computed_tokens_np))
        return batch

    runner.add_requests, runner.prepare_inputs = added, prepared


def _plan(sampling: Any) -> Plan | None:
    return Plan.of(getattr(sampling, "extra_args", None))
