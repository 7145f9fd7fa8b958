"""What a collector gets of a try, over HTTP as OpenTelemetry defines it."""

import builtins
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import ValidationError

from monitor.database.opening import open_database
from monitor.database.schema import DiffState
from monitor.errors import SettingsError
from monitor.settings import Settings, load_settings
from monitor.settings.traces import TraceSettings
from tests.services import free_port
from tests.workers.service import FAKE_DIFF, ROOT, Pushes, Sessions
from workers.dispatch.supervised import run_due
from workers.dispatch.traces import check_traces
from workers.dispatch.workplace import Workplace


class Collector:
    """Takes traces; a span is its name, its parent's name, its attributes and its status."""

    def __init__(self) -> None:
        self.spans: dict[str, Any] = {}
        self.resource: dict[str, str] = {}
        taken = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") is None:
                    taken.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/traces"

    def take(self, request: ExportTraceServiceRequest) -> None:
        for group in request.resource_spans:
            self.resource = {a.key: a.value.string_value for a in group.resource.attributes}
            for scope in group.scope_spans:
                self.spans |= {span.name: span for span in scope.spans}

    def attributes(self, name: str) -> dict[str, Any]:
        return {
            a.key: getattr(a.value, a.value.WhichOneof("value"))
            for a in self.spans[name].attributes
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.server.shutdown()


def settings_for(tmp_path: Path, endpoint: str) -> Settings:
    broker = {"deadline_seconds": 30.0, "silence_seconds": 20.0, "grace_seconds": 5.0}
    return load_settings(data_dir=tmp_path / "data", broker=broker, traces={"endpoint": endpoint})


def run(tmp_path: Path, endpoint: str, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Compare the push `name` as a worker does; its row afterwards."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    settings = settings_for(tmp_path, endpoint)
    sessions: Sessions = open_database(settings.database_url)
    pushes = Pushes(tmp_path, sessions, settings)
    diff_id = pushes.queue(name)
    run_due(Workplace(sessions, settings, FAKE_DIFF, lambda: False, "gpu-0"), diff_id)
    return pushes.row(diff_id)


def test_a_try_is_a_span_with_its_stages_in_it(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, collector.url, "good", monkeypatch).state == DiffState.DONE
    spans, root = collector.spans, collector.spans["compare"]
    assert set(spans) == {"compare", "fetch", "train"}
    assert spans["train"].parent_span_id == root.span_id and not root.parent_span_id
    assert spans["train"].trace_id == root.trace_id
    assert root.start_time_unix_nano <= spans["fetch"].start_time_unix_nano
    assert spans["fetch"].end_time_unix_nano <= spans["train"].start_time_unix_nano
    assert spans["train"].end_time_unix_nano <= root.end_time_unix_nano
    told = collector.attributes("compare")
    assert (told["latentwatch.candidate"], told["latentwatch.verdict"]) == ("good", "passed")
    assert told["latentwatch.try"] == 1
    assert collector.attributes("train") == {"latentwatch.reused": False}
    assert spans["train"].status.code == 0
    assert collector.resource["service.name"] == "latentwatch-worker"
    assert collector.resource["service.instance.id"] == "gpu-0"


def test_what_broke_is_an_error_of_the_try_and_of_its_stage(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, collector.url, "broken", monkeypatch)
    root, stage = collector.spans["compare"].status, collector.spans["train"].status
    assert (root.code, stage.code) == (2, 2)
    assert "RuntimeError: CUDA error" in root.message


def test_a_collector_that_is_away_costs_the_trace_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/v1/traces"
    row = run(tmp_path, nowhere, "good", monkeypatch)
    assert (row.state, row.error) == (DiffState.DONE, None)


def test_an_endpoint_without_the_package_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("opentelemetry.exporter"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    check_traces(TraceSettings())
    asked = TraceSettings.model_validate({"endpoint": "http://collector:4318/v1/traces"})
    with pytest.raises(SettingsError, match=r"pip install '\.\[traces\]'"):
        check_traces(asked)


def test_secrets_are_not_part_of_the_endpoint() -> None:
    with pytest.raises(ValidationError, match="OTEL_EXPORTER_OTLP_HEADERS"):
        TraceSettings.model_validate({"endpoint": "http://me:secret@collector/v1/traces"})
