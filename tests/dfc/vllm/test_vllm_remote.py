"""An engine whose vLLM runs behind a server: batches arrive whole, and strangers are refused."""

import asyncio
import threading
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import SecretStr
from safetensors.torch import load_file, save_file
from starlette.datastructures import State

from dfc.engines.engine import Edit, FeatureBank, ScoreRow
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import InputError, ModelError
from dfc.vllm import endpoint, remote_runtime
from dfc.vllm.batch import Answer, Bank, Batch, Facts, Outcome, Request
from dfc.vllm.endpoint import LatentwatchEndpoint
from dfc.vllm.engine import VllmEngine
from dfc.vllm.plans import Draws, Plan
from dfc.vllm.remote_runtime import Server
from dfc.vllm.remote_wire import BATCH, OUTCOME, Introduction
from dfc.vllm.settings import VllmSettings
from dfc.vllm.wire import Packed, to_bytes
from tests.dfc.one_by_one import OneByOne

KEY = "a-key-of-the-server"
EDITS = [Edit(0, gain=-1.0), Edit(4, offset=0.5)]
PROMPTS = [(5, 6, 7, 8, 9), (40, 41), (90, 14, 30, 77)]


class Client:
    """vLLM's `EngineClient` where vLLM is not installed."""

    def __init__(self, path: Path) -> None:
        self._model = OneByOne(path, torch.float32, VllmSettings(), 512)

    async def collective_rpc(self, method: str, args: tuple[Any, ...] = ()) -> list[Any]:
        if method == "latentwatch_facts":
            return [self._model.facts()._asdict()]
        name, *others = args
        return [getattr(self._model.instrument, name)(*others)]

    async def generate(self, prompt: Request, sampling: None, name: str) -> AsyncIterator[Answer]:
        await asyncio.sleep(0)  # other rows, and other clients, come in between
        yield self._model.answer(prompt)


@pytest.fixture
def arguments(tiny_checkpoint: Path) -> Namespace:
    """Of a server that was started as the docs say."""
    return Namespace(
        model=str(tiny_checkpoint),
        worker_cls=endpoint.WORKER,
        logits_processors=[endpoint.LOGITS_PROCESSOR],
        enforce_eager=True,
        async_scheduling=False,
        api_key=[KEY],
        api_server_count=1,
    )


@pytest.fixture
def server(
    arguments: Namespace, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """The endpoint on a port of this host, with a stand-in for vLLM behind it."""
    for name in ("prompt_of", "answer_of"):
        monkeypatch.setattr(endpoint, name, lambda given: given)
    monkeypatch.setattr(endpoint, "sampling_of", lambda given: None)
    monkeypatch.setattr(endpoint, "installed_version", lambda: "0.32.0")
    app, plugin = FastAPI(), LatentwatchEndpoint()
    plugin.attach_router(app)
    asyncio.run(plugin.init_state(Client(tiny_checkpoint), app.state, arguments))

    @app.middleware("http")
    async def keep_out(request: Any, go_on: Callable[[Any], Any]) -> Any:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return JSONResponse({"error": "Unauthorized"}, status_code=401)
        return await go_on(request)

    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        assert thread.is_alive()
    port = running.servers[0].sockets[0].getsockname()[1]
    yield Server(f"http://127.0.0.1:{port}/", SecretStr(KEY))
    running.should_exit = True
    thread.join()


def test_everything_is_as_in_the_transformers_engine(
    server: Server,
    tiny_checkpoint: Path,
    engine: TransformersEngine,
    bank: FeatureBank,
    rows: list[ScoreRow],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote_runtime, "ROWS_AT_ONCE", 2)
    rows = [row for row in rows if len(row.prompt) > 1]
    steered: dict[str, Any] = {"bank": bank, "edits": [EDITS, [], EDITS[:1]]}
    remote = VllmEngine(tiny_checkpoint, server=server)
    assert remote.info == engine.info
    told: list[tuple[int, int]] = []
    found = remote.generate(PROMPTS, 6, **steered, progress=lambda *at: told.append(at))
    assert found == engine.generate(PROMPTS, 6, **steered) != engine.generate(PROMPTS, 6)
    assert told == [(2, 3), (3, 3)]
    sampled = {"temperature": 1.0, "seed": 4}
    assert remote.generate(PROMPTS, 6, **sampled) == engine.generate(PROMPTS, 6, **sampled)  # type: ignore[arg-type]
    scores = remote.score(rows, bank=bank, edits=[EDITS] * len(rows))
    expected = engine.score(rows, bank=bank, edits=[EDITS] * len(rows))
    assert scores == pytest.approx(expected, abs=1e-5)
    x_TD, expected_TD = remote.harvest(PROMPTS, 1).x_TD, engine.harvest(PROMPTS, 1).x_TD
    torch.testing.assert_close(x_TD, expected_TD, atol=1e-2, rtol=1e-2)
    remote.close()


def test_two_clients_do_not_meet(
    server: Server, tiny_checkpoint: Path, engine: TransformersEngine, bank: FeatureBank
) -> None:
    clients = [VllmEngine(tiny_checkpoint, server=server) for _ in range(2)]
    edits = [[EDITS] * len(PROMPTS), [[Edit(2, offset=2.0)]] * len(PROMPTS)]
    expected = [engine.generate(PROMPTS, 6, bank=bank, edits=one) for one in edits]
    found: list[Any] = [None, None]

    def ask(number: int) -> None:
        found[number] = clients[number].generate(PROMPTS, 6, bank=bank, edits=edits[number])

    for _ in range(3):
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == expected and expected[0] != expected[1]


def test_another_key_another_model_and_another_server_are_refused(
    server: Server, tiny_checkpoint: Path, make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="refuses the API key") as refused:
        VllmEngine(tiny_checkpoint, server=server._replace(api_key=SecretStr("guessed")))
    assert "guessed" not in str(refused.value)
    other = make_checkpoint(tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] += 1
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="has other weights than"):
        VllmEngine(other, server=server)
    with pytest.raises(ModelError, match=r"no such route.*VLLM_PLUGINS=latentwatch"):
        VllmEngine(tiny_checkpoint, server=server._replace(url=server.url + "elsewhere"))
    with pytest.raises(ModelError, match="does not answer"):
        VllmEngine(tiny_checkpoint, server=server._replace(url="http://127.0.0.1:1"))


def test_where_one_row_fails_no_other_runs_on_into_the_next_batch() -> None:
    events: list[str] = []

    class Failing:
        async def collective_rpc(self, method: str, args: tuple[Any, ...]) -> list[Any]:
            events.append(args[0])
            return [[]]

        async def generate(self, prompt: Any, sampling: None, name: str) -> AsyncIterator[Answer]:
            try:
                if prompt["prompt_token_ids"] == [9]:
                    raise ValueError("refused at admission")
                await asyncio.sleep(60)
                yield Answer((), (), ())
            except asyncio.CancelledError:
                events.append("aborted")
                raise

    facts = Facts("v1", "Llama", 2, 4, 10, "float32", 8)
    served = endpoint.Served(Failing(), Introduction(facts, {}))
    rows = tuple(Request((token,), Plan(row, 1)) for row, token in enumerate((5, 9, 6)))
    with pytest.MonkeyPatch.context() as patched, pytest.raises(ExceptionGroup):
        patched.setattr(endpoint, "sampling_of", lambda given: None)
        asyncio.run(served.run(Batch(rows)))
    assert events == ["aborted", "aborted", "take_reached", "take_states"]


ONE = tuple(to_bytes(part) for part in (torch.ones(1, 4), *(torch.ones(1),) * 2, torch.ones(1, 4)))


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        (Batch((Request((5,), Plan(0, 1, ((0, 1.0, 0.0),))),)), "outside the bank of 0"),
        (Batch((Request((5,), Plan(0, 1, ((1, 1.0, 0.0),))),), Bank(0, ONE)), "the bank of 1"),
        (Batch((), Bank(0, ONE[:2])), "shapes"),
        (Batch((), Bank(0, (*ONE[:3], to_bytes(torch.ones(1, 5))))), "shapes"),
        (Batch((Request((5,), Plan(0, 1), 1, Draws(1.0, -1, 0, 9)),)), "can't be drawn"),
        (Batch((Request((5,), Plan(0, 1), 1, Draws(0.0, 1, 0, 9)),)), "can't be drawn"),
        (Batch((Request((5,), Plan(0, 1, patch=0)),)), "of the shape \\(\\)"),
        (
            Batch((Request((5,), Plan(0, 2, patch=0)),), None, ((0, to_bytes(torch.ones(1, 4))),)),
            "patches 2 positions",
        ),
    ],
)
def test_a_batch_that_lacks_what_its_plans_need_is_refused(batch: Batch, told: str) -> None:
    with pytest.raises(InputError, match=told):
        batch.check(4)


def test_a_refused_batch_leaves_the_server_as_it_was(
    server: Server, tiny_checkpoint: Path, engine: TransformersEngine
) -> None:
    body = BATCH.dump_json(Batch((Request((5,), Plan(0, 1, ((3, 1.0, 0.0),))),)))
    key = {"Authorization": f"Bearer {KEY}"}
    answer = httpx2.post(f"{server.url}v1/latentwatch/run", content=body, headers=key)
    assert answer.status_code == 422 and "outside the bank" in answer.text
    remote = VllmEngine(tiny_checkpoint, server=server)
    assert remote.generate(PROMPTS, 3) == engine.generate(PROMPTS, 3)
    remote.close()


@pytest.mark.parametrize("route", ["run", "unembed"])
def test_what_is_no_batch_is_refused(server: Server, route: str) -> None:
    url = f"{server.url}v1/latentwatch/{route}"
    key = {"Authorization": f"Bearer {KEY}"}
    answer = httpx2.post(url, content=b'[["no rows"]]', headers=key)
    assert answer.status_code == 422 and "validation error" in answer.text


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("worker_cls", "auto", "--worker-cls dfc.vllm.worker"),
        ("logits_processors", None, "--logits-processors dfc.vllm.sampling"),
        ("enforce_eager", False, "--enforce-eager"),
        ("async_scheduling", None, "--no-async-scheduling"),
        ("api_key", None, "--api-key"),
        ("api_server_count", 2, "--api-server-count 1"),
        ("model", "org/model", "a directory as the model"),
        ("quantization", "fp8", "no --quantization"),
        ("hf_overrides", {"rope_theta": 1.0}, "no --hf-overrides"),
        ("kv_cache_dtype", "fp8", "no --kv-cache-dtype"),
    ],
)
def test_a_server_started_otherwise_does_not_start(
    arguments: Namespace,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: object,
    told: str,
) -> None:
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    monkeypatch.setattr(endpoint, "installed_version", lambda: "0.32.0")
    setattr(arguments, name, value)
    with pytest.raises(ValueError, match="endpoint needs") as refused:
        asyncio.run(LatentwatchEndpoint().init_state(None, State(), arguments))
    assert str(refused.value).startswith(f"the latentwatch endpoint needs {told}")


def test_what_is_sent_comes_back_as_it_was() -> None:
    request = Request(
        (5, 6), Plan(3, 2, ((0, -1.0, 0.25),), (1,), 2), 4, Draws(0.7, 1, 3, 320), (2,), 320, True
    )
    state = Packed("bfloat16", (1, 2), b"\x00\xff\xfe\x01")
    batch = Batch((request,), None, ((3, state),))
    assert BATCH.validate_json(BATCH.dump_json(batch)) == batch
    answer = Answer((1, 2), (-0.5, float("-inf")), (), 3)
    outcome = Outcome((answer,), ((3, 1),), ((3, 1, state),))
    assert OUTCOME.validate_json(OUTCOME.dump_json(outcome)) == outcome
