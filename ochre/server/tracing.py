"""Traces for OpenTelemetry, when the server is told where to send them: a span a request, within the caller's trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ochre.errors import InvalidArgumentError
from ochre.server.settings import ServerSettings


class Span:
    """A request's span, or nothing.

    Attributes:
        trace: the id of its trace, 32 hexadecimal digits; None without a span.
    """

    def __init__(self, span: Any = None) -> None:
        self._span = span
        self.trace = None if span is None else f"{span.get_span_context().trace_id:032x}"

    def end(self, status: int) -> None:
        """Note the status of the answer."""
        if self._span is not None:
            self._span.set_attribute("http.response.status_code", status)
            if status >= 500:
                from opentelemetry.trace import StatusCode

                self._span.set_status(StatusCode.ERROR)


class Tracer:
    """Makes spans.

    Raises:
        InvalidArgumentError: an endpoint is set and the libraries are not installed.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._tracer: Any = None
        self._provider: Any = None
        if settings.otel_endpoint is None:
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise InvalidArgumentError(
                f'otel_endpoint is {settings.otel_endpoint!r}, which needs OpenTelemetry: pip install "ochre[otel]"'
            ) from error
        self._provider = TracerProvider(resource=Resource.create({"service.name": settings.otel_service_name}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otel_endpoint)))
        self._tracer = self._provider.get_tracer("ochre.server")

    @contextmanager
    def span(self, operation: str, headers: Mapping[str, str]) -> Iterator[Span]:
        """Open a span for an operation while the block runs."""
        if self._tracer is None:
            yield Span()
            return
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        attributes = {"ochre.operation": operation}
        with self._tracer.start_as_current_span(
            operation, context=extract(dict(headers)), kind=SpanKind.SERVER, attributes=attributes
        ) as span:
            yield Span(span)

    def close(self) -> None:
        """Send what was not sent yet."""
        if self._provider is not None:
            self._provider.shutdown()
