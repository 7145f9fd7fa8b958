"""A vLLM that runs elsewhere, with the routes of ``dfc.vllm.endpoint``."""

from pathlib import Path
from typing import NamedTuple

import httpx2
from pydantic import SecretStr, ValidationError
from torch import Tensor

from dfc.engines.engine import Progress
from dfc.errors import ModelError
from dfc.vllm.batch import Batch, Facts, Outcome, Runtime
from dfc.vllm.remote_wire import BATCH, INTRODUCTION, OUTCOME, PREFIX, STATES
from dfc.vllm.weights import weight_digests
from dfc.vllm.wire import from_bytes, to_bytes

CONNECT_SECONDS = 10.0
RUN_SECONDS = 3600.0
"""A batch is answered when its last row has ended."""
ROWS_AT_ONCE = 256
"""So that progress is seen, and no answer grows without a bound."""


class Server(NamedTuple):
    """Where a vLLM runs that was started as docs/engines.md says."""

    url: str
    api_key: SecretStr


class RemoteRuntime(Runtime):
    """The vLLM at ``server``.

    Raises ModelError when it can't be reached, refuses, or has other weights than the checkpoint at
    ``path``.
    """

    def __init__(self, server: Server, path: Path) -> None:
        self._url = server.url.rstrip("/")
        self._client = httpx2.Client(
            headers={"Authorization": f"Bearer {server.api_key.get_secret_value()}"},
            timeout=httpx2.Timeout(RUN_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
        )
        try:
            told = INTRODUCTION.validate_json(self._answer("GET", "facts"))
        except ValidationError as error:
            raise ModelError(f"{self._url} is no vLLM of latentwatch: {error}") from error
        if told.weights != weight_digests(path):
            raise ModelError(
                f"{self._url} has other weights than {path}; start it with this checkpoint"
            )
        self._facts = told.facts

    def facts(self) -> Facts:
        return self._facts

    def run(self, batch: Batch, progress: Progress | None = None) -> Outcome:
        parts = []
        rows = len(batch.requests)
        for start in range(0, rows, ROWS_AT_ONCE):
            requests = batch.requests[start : start + ROWS_AT_ONCE]
            among = {request.plan.row for request in requests}
            states = tuple((row, x) for row, x in batch.states if row in among)
            body = BATCH.dump_json(Batch(requests, batch.bank, states))
            parts.append(OUTCOME.validate_json(self._answer("POST", "run", body)))
            if progress is not None:
                progress(min(start + ROWS_AT_ONCE, rows), rows)
        return Outcome(
            tuple(answer for part in parts for answer in part.answers),
            tuple(one for part in parts for one in part.reached),
            tuple(one for part in parts for one in part.recorded),
        )

    def unembed(self, x_ND: Tensor) -> Tensor:
        body = STATES.dump_json(to_bytes(x_ND))
        return from_bytes(*STATES.validate_json(self._answer("POST", "unembed", body)))

    def close(self) -> None:
        """Leave the server; it goes on."""
        self._client.close()

    def _answer(self, method: str, route: str, body: bytes | None = None) -> bytes:
        url = f"{self._url}{PREFIX}/{route}"
        try:
            answer = self._client.request(method, url, content=body)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ModelError(f"vLLM at {url} does not answer: {error!r}") from error
        if answer.status_code == 401:
            raise ModelError(f"vLLM at {url} refuses the API key; give it that of --api-key")
        if answer.status_code == 404:
            raise ModelError(
                f"vLLM at {url} has no such route; start it as docs/engines.md says, with "
                "VLLM_PLUGINS=latentwatch"
            )
        if answer.status_code != 200:
            raise ModelError(
                f"vLLM at {url} failed ({answer.status_code}): {answer.text[:500]}; its log says "
                "more"
            )
        return answer.content
