"""Routes of a vLLM server by which an engine elsewhere reads and steers its model.

Loaded by ``vllm serve`` alone, where VLLM_PLUGINS names it. Batches of several clients run one
after the other, since the bank and the rows' numbers are a batch's own; requests to vLLM's other
routes are refused a plan (``check_source``), and without any they are left alone.
"""

import asyncio
import os
from argparse import Namespace
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import State

from dfc.errors import InputError
from dfc.vllm.batch import Answer, Batch, Facts, Outcome
from dfc.vllm.batch import Request as Row
from dfc.vllm.remote_wire import BATCH, INTRODUCTION, OUTCOME, PREFIX, STATES, Introduction
from dfc.vllm.submission import (
    LOGITS_PROCESSOR,
    WORKER,
    answer_of,
    preparations,
    prompt_of,
    sampling_of,
)
from dfc.vllm.version import installed_version
from dfc.vllm.weights import weight_digests
from dfc.vllm.wire import Packed

JSON = "application/json"

T = TypeVar("T")


class LatentwatchEndpoint:
    """vLLM's protocol ``EndpointPlugin``."""

    name = "latentwatch"
    required_tasks = ("generate",)

    def attach_router(self, app: FastAPI) -> None:
        app.include_router(_router)

    async def init_state(self, engine_client: Any, state: State, args: Namespace) -> None:
        """Raises ValueError, which ends the server, when it was started in a way that would leave
        models silently not steered, or open to everybody."""
        installed_version()
        _check_arguments(args)
        [told, *_] = await engine_client.collective_rpc("latentwatch_facts")
        weights = await asyncio.to_thread(weight_digests, Path(args.model))
        state.latentwatch = Served(engine_client, Introduction(Facts.of(told), weights))


class Served:
    """The model of this server."""

    def __init__(self, engine: Any, introduction: Introduction) -> None:
        self.introduction = introduction
        self._engine = engine
        self._alone = asyncio.Lock()

    async def run(self, batch: Batch) -> Outcome:
        """Raises InputError for a batch that can't run."""
        batch.check(self.introduction.facts.d_model)
        async with self._alone:
            try:
                for method, *args in preparations(batch):
                    await self._call(method, *args)
                # Where one row fails the others are ended, too: they would run on into the next
                # batch, whose bank is another.
                async with asyncio.TaskGroup() as group:
                    rows = [group.create_task(self._row(one)) for one in batch.requests]
            finally:
                # Nothing of this batch may be left for the next one; first what can't fail.
                reached = await self._call("take_reached")
                recorded = await self._call("take_states")
        return Outcome(
            tuple(row.result() for row in rows),
            tuple((row, last) for row, last in reached),
            tuple((row, layer, Packed(*x)) for row, layer, x in recorded),
        )

    async def unembed(self, packed: Packed) -> Packed:
        return Packed(*await self._call("unembed", *packed))

    async def _row(self, request: Row) -> Answer:
        ended = None
        name = f"latentwatch-{uuid4().hex}"
        async for output in self._engine.generate(prompt_of(request), sampling_of(request), name):
            ended = output
        return answer_of(ended)

    async def _call(self, method: str, *args: Any) -> Any:
        return (await self._engine.collective_rpc("latentwatch", args=(method, *args)))[0]


_router = APIRouter(prefix=PREFIX)


@_router.get("/facts")
async def facts(request: Request) -> Response:
    served: Served = request.app.state.latentwatch
    return Response(INTRODUCTION.dump_json(served.introduction), media_type=JSON)


@_router.post("/run")
async def run(request: Request) -> Response:
    served: Served = request.app.state.latentwatch
    try:
        outcome = await served.run(await _sent(BATCH, request))
    except InputError as error:
        raise HTTPException(422, str(error)) from error
    return Response(OUTCOME.dump_json(outcome), media_type=JSON)


@_router.post("/unembed")
async def unembed(request: Request) -> Response:
    served: Served = request.app.state.latentwatch
    packed = await served.unembed(await _sent(STATES, request))
    return Response(STATES.dump_json(packed), media_type=JSON)


async def _sent(kind: TypeAdapter[T], request: Request) -> T:
    try:
        return kind.validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(422, str(error)) from error


def _check_arguments(args: Namespace) -> None:
    problems = {
        f"--worker-cls {WORKER}": args.worker_cls == WORKER,
        f"--logits-processors {LOGITS_PROCESSOR}": LOGITS_PROCESSOR
        in (args.logits_processors or []),
        "--enforce-eager, since graphs run without the hooks": args.enforce_eager,
        "--no-async-scheduling": args.async_scheduling is False,
        "--api-key, or the environment's VLLM_API_KEY": bool(
            args.api_key or os.environ.get("VLLM_API_KEY")
        ),
        "--api-server-count 1": getattr(args, "api_server_count", None) in (None, 1),
        "a directory as the model": Path(args.model).is_dir(),
        # Another model than the weights, whose digests are compared, say.
        "no --quantization": getattr(args, "quantization", None) is None,
        "no --hf-overrides": not getattr(args, "hf_overrides", None),
        "no --kv-cache-dtype": getattr(args, "kv_cache_dtype", "auto") == "auto",
    }
    missing = [what for what, holds in problems.items() if not holds]
    if missing:
        raise ValueError(f"the latentwatch endpoint needs {'; '.join(missing)}")
