"""Plans travel with their requests, and both runners of vLLM say where the rows lie."""

import json
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dfc.errors import ModelError
from dfc.vllm import local_runtime
from dfc.vllm.plans import Plan, Step
from dfc.vllm.runners import announce_steps
from dfc.vllm.version import installed_version

PLAN = Plan(7, 12, ((0, -1.0, 0.5), (3, 0.0, 2.0)), (1, 2), 4)
PLAIN = Plan(8, 3)


def sampling(plan: Plan | None) -> Any:
    return SimpleNamespace(extra_args=None if plan is None else plan.arguments())


class First:
    """The surface of the first runner: rows change places while inputs are prepared."""

    def __init__(self) -> None:
        self.input_batch = SimpleNamespace(
            req_ids=["b", "a", "c", "gone"],
            num_reqs=3,
            num_computed_tokens_cpu=np.array([0, 4, 9, 0]),
        )
        self.query_start_loc = SimpleNamespace(np=np.zeros(5, int))
        self.requests = {
            "a": SimpleNamespace(sampling_params=sampling(PLAN)),
            "b": SimpleNamespace(sampling_params=sampling(PLAIN)),
            "c": SimpleNamespace(sampling_params=sampling(None)),
        }

    def _prepare_inputs(self, scheduler_output: Any, counts: Any) -> str:
        self.input_batch.req_ids = ["a", "b", "c", "gone"]
        self.input_batch.num_computed_tokens_cpu = np.array([4, 0, 9, 0])
        self.query_start_loc.np = np.array([0, 5, 8, 9, 9])
        return "inputs"


class Second:
    """The surface of the second runner."""

    def prepare_inputs(self, scheduler_output: Any) -> Any:
        return SimpleNamespace(
            req_ids=["a", "b", "c"],
            query_start_loc_np=np.array([0, 5, 8, 9, 9]),
            num_computed_tokens_np=np.array([4, 0, 9]),
        )

    def add_requests(self, scheduler_output: Any) -> str:
        return "added"


def test_a_plan_survives_json() -> None:
    for plan in (PLAN, PLAIN):
        assert Plan.of(json.loads(json.dumps(plan.arguments()))) == plan
    assert Plan.of(None) is None and Plan.of({"kv_transfer_params": {}}) is None


def expect(step: Step) -> None:
    assert [s.plan for s in step.segments] == [PLAN, PLAIN, None]
    assert [s[1:] for s in step.segments] == [(0, 5, 4), (5, 8, 0), (8, 9, 9)]


def test_the_first_runner_is_asked_after_it_has_reordered_the_rows() -> None:
    steps: list[Step] = []
    runner = First()
    assert announce_steps(runner, steps.append) == "v1"
    assert runner._prepare_inputs(None, None) == "inputs"
    [step] = steps
    expect(step)


def test_the_second_runner_is_asked_with_the_requests_it_was_given() -> None:
    steps: list[Step] = []
    runner = Second()
    assert announce_steps(runner, steps.append) == "v2"
    new = [
        SimpleNamespace(req_id=name, sampling_params=sampling(plan))
        for name, plan in (("a", PLAN), ("b", PLAIN), ("c", None))
    ]
    told = SimpleNamespace(scheduled_new_reqs=new, finished_req_ids=[])
    assert runner.add_requests(told) == "added"
    runner.prepare_inputs(told)
    expect(steps[0])
    done = SimpleNamespace(scheduled_new_reqs=[], finished_req_ids=["a"])
    runner.add_requests(done)
    with pytest.raises(KeyError):  # a row that nobody has announced is never guessed at
        runner.prepare_inputs(done)


def test_an_unknown_runner_is_refused() -> None:
    with pytest.raises(ModelError, match=r"SimpleNamespace has neither _prepare_inputs.*\[vllm\]"):
        announce_steps(SimpleNamespace(), lambda step: None)


def test_another_version_of_vllm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "0.33.1")
    with pytest.raises(ModelError, match=r"vllm 0\.33\.1 is installed, .* tested with 0\.32\.x"):
        installed_version()
    monkeypatch.setattr(metadata, "version", lambda name: "0.32.4")
    assert installed_version() == "0.32.4"


def test_nothing_of_the_environment_opens_what_is_closed() -> None:
    assert local_runtime.ALWAYS["VLLM_PLUGINS"] == ""
    assert local_runtime.ALWAYS["VLLM_ALLOW_INSECURE_SERIALIZATION"] == "0"
    assert not set(local_runtime.ALWAYS) & set(local_runtime.UNLESS_SET)
