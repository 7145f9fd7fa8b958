"""What an operator can set about traces."""

from pydantic import BaseModel, HttpUrl, field_validator

from monitor.settings.table import TABLE


class TraceSettings(BaseModel):
    """Where workers tell, as OpenTelemetry, what they spent their time on."""

    model_config = TABLE

    endpoint: HttpUrl | None = None
    """OTLP over HTTP, such as `http://collector:4318/v1/traces`; without one nothing is told."""

    @field_validator("endpoint")
    @classmethod
    def _without_secrets(cls, endpoint: HttpUrl | None) -> HttpUrl | None:
        if endpoint is not None and (endpoint.username or endpoint.password):
            raise ValueError(
                "must hold no name or password; set OTEL_EXPORTER_OTLP_HEADERS, a variable of the "
                "environment, to the header that the collector asks for"
            )
        return endpoint
