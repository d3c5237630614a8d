"""An OpenTelemetry SDK for tests: keeps every span, and is none of anybody's dependencies."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode


class Kept(trace.Span):
    """One span, as it was told."""

    def __init__(
        self, name: str, kind: SpanKind, parent: SpanContext, number: int, began: int | None
    ) -> None:
        self.name, self.kind, self.parent, self.began = name, kind, parent, began
        self.attributes: dict[str, Any] = {}
        self.failed = False
        self.ends = 0
        trace_id = parent.trace_id or 0xABC
        self._context = SpanContext(trace_id, number, is_remote=False)

    def end(self, end_time: int | None = None) -> None:
        self.ends += 1

    def get_span_context(self) -> SpanContext:
        return self._context

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        self.attributes.update(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        raise AssertionError("events may hold content")

    def update_name(self, name: str) -> None:
        self.name = name

    def is_recording(self) -> bool:
        return True

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        assert isinstance(status, Status)
        assert status.description is None
        self.failed = status.status_code is StatusCode.ERROR

    def record_exception(self, exception: BaseException, *args: Any, **options: Any) -> None:
        raise AssertionError("exceptions may hold content")


class Spans(trace.TracerProvider, trace.Tracer):
    """All spans, in the order in which they began."""

    def __init__(self) -> None:
        self.all: list[Kept] = []

    def get_tracer(self, *names: Any, **options: Any) -> trace.Tracer:
        return self

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Kept:
        parent = trace.get_current_span(context).get_span_context()
        span = Kept(name, kind, parent, len(self.all) + 1, start_time)
        span.set_attributes(attributes or {})
        self.all.append(span)
        return span

    def start_as_current_span(self, *names: Any, **options: Any) -> Any:
        raise AssertionError("a span is never made current: events of several runs interleave")

    def named(self, name: str) -> Kept:
        (found,) = [span for span in self.all if span.name == name]
        return found

    def tree(self, parent: int = 0) -> dict[str, Any]:
        """Names within names, of whole spans only."""
        assert all(span.ends == 1 for span in self.all)
        return {
            span.name: self.tree(span.get_span_context().span_id)
            for span in self.all
            if span.parent.span_id == parent
        }


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """What is traced meanwhile."""
    kept = Spans()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: kept)
    yield kept
