"""Every try of a diff as a trace of OpenTelemetry: one span for it, and within that one per stage.

Told by the worker, since the process that compares has no network. A collector that is away costs
the trace and a few seconds after the verdict is written, nothing else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

from opentelemetry.trace import NoOpTracer, Span, SpanKind, StatusCode, Tracer, set_span_in_context

from monitor.errors import SettingsError
from monitor.settings.traces import TraceSettings
from workers.dispatch.claim import Claim
from workers.processes.supervisor import Ending
from workers.verdicts.outcome import Outcome

FLUSH_SECONDS = 5.0
"""How long the worker waits for the collector, at most."""


def check_traces(settings: TraceSettings) -> None:
    """Raises SettingsError when traces are asked for and can't be made."""
    if settings.endpoint is None:
        return
    try:
        import opentelemetry.exporter.otlp.proto.http  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            f"traces.endpoint is set, and {error.name} is not installed: "
            "pip install '.[traces]' in the checkout, or remove the setting"
        ) from error


class Trace:
    """The try that is under way."""

    def __init__(self, tracer: Tracer, root: Span) -> None:
        self._tracer, self._root = tracer, root
        self._stage: Span | None = None

    def begin(self, stage: str) -> None:
        """The stage begins."""
        self._stage = self._tracer.start_span(stage, context=set_span_in_context(self._root))

    def end(self, reused: bool) -> None:
        """The stage is done, now or, when it is reused, at an earlier time."""
        if self._stage is not None:
            self._stage.set_attribute("latentwatch.reused", reused)
            self._stage.end()
            self._stage = None

    def conclude(self, ended: Outcome | Ending) -> None:
        """The try is over."""
        if isinstance(ended, Outcome):
            self._root.set_attribute("latentwatch.verdict", ended.verdict.verdict)
            if ended.verdict.severity is not None:
                self._root.set_attribute("latentwatch.severity", ended.verdict.severity)
        problem = ended.failure if isinstance(ended, Outcome) else ended.refused or ended.crashed
        if problem is not None:
            self._root.set_status(StatusCode.ERROR, problem)
        elif isinstance(ended, Ending):
            how = "cancelled" if ended.cancelled is not None else "stopped"
            self._root.set_attribute("latentwatch.ended", how)

    def close(self) -> None:
        """End what is open; a stage that is has not come to its end."""
        if self._stage is not None:
            self._stage.set_status(StatusCode.ERROR, "the try ended within this stage")
            self._stage.end()
        self._root.end()


@contextmanager
def traced(settings: TraceSettings, worker: str, claim: Claim) -> Iterator[Trace]:
    """The trace of the try that the block makes; told when the block ends, however it does."""
    attributes: dict[str, str | int] = {
        "latentwatch.diff": claim.diff_id,
        "latentwatch.try": claim.fence,
        "latentwatch.line": claim.line,
        "latentwatch.base": claim.base.name,
        "latentwatch.candidate": claim.candidate.name,
        "latentwatch.candidate.digest": claim.candidate.content_digest,
    }
    with _tracer(settings, worker) as tracer:
        root = tracer.start_span("compare", kind=SpanKind.CONSUMER, attributes=attributes)
        trace = Trace(tracer, root)
        try:
            yield trace
        except Exception as error:
            root.set_status(StatusCode.ERROR, str(error))
            raise
        finally:
            trace.close()


@contextmanager
def _tracer(settings: TraceSettings, worker: str) -> Iterator[Tracer]:
    if settings.endpoint is None:
        yield NoOpTracer()
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create(
        {
            "service.name": "latentwatch-worker",
            "service.instance.id": worker,
            "service.version": metadata.version("latentwatch"),
        }
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(str(settings.endpoint), timeout=FLUSH_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield provider.get_tracer("latentwatch")
    finally:
        provider.force_flush(int(FLUSH_SECONDS * 1000))
        provider.shutdown()
