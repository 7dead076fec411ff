"""Spans as they arrive at a collector by OTLP/HTTP, in JSON or as protocol buffers."""

import base64
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from coursework.checks.failure import Failure
from coursework.checks.stub import Received

# The numbers of opentelemetry/proto/trace/v1/trace.proto.
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_KIND_NAMES = {f"SPAN_KIND_{name.upper()}": number for number, name in enumerate(_KINDS)}
_ERROR = (2, "STATUS_CODE_ERROR")
_LIMIT_BYTES = 4_000_000


@dataclass(frozen=True)
class Span:
    """One span.

    Args:
        trace_id: 32 hexadecimal digits.
        span_id: 16 of them.
        parent_id: as many; empty for the first span of a trace.
        name: of what was done.
        kind: such as `server`, `client` or `internal`.
        attributes: by name; numbers are numbers.
        is_error: whether its status is an error.
        service: the resource's `service.name`.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    attributes: dict[str, Any]
    is_error: bool
    service: str


def spans_in(requests: Iterable[Received]) -> list[Span]:
    """Return the spans in requests to `/v1/traces`, in their order.

    The forms are those of https://opentelemetry.io/docs/specs/otlp/#otlphttp.

    Raises:
        Failure: a body is neither JSON nor protocol buffers of that form.
    """
    return [span for request in requests for span in _spans(request)]


def _spans(request: Received) -> Iterator[Span]:
    kind = (request.headers.get("Content-Type") or "").split(";")[0].strip().lower()
    try:
        body = _unpacked(request)
        export = _of_protobuf(body) if kind == "application/x-protobuf" else json.loads(body)
        for of_resource in export.get("resourceSpans", []):
            service = _attributes(of_resource.get("resource", {})).get("service.name", "")
            for scope in of_resource.get("scopeSpans", []):
                yield from (_span(span, str(service)) for span in scope.get("spans", []))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as e:
        raise Failure(
            "spans by OTLP/HTTP, as JSON or protocol buffers",
            f"{kind or 'no Content-Type'} that is none: {e!r}"[:300],
        ) from e


def _unpacked(request: Received) -> bytes:
    if (request.headers.get("Content-Encoding") or "").lower() != "gzip":
        return request.body
    # A small body may unpack to a large one; 31 is gzip's form.
    try:
        return zlib.decompressobj(wbits=31).decompress(request.body, _LIMIT_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from error


def _of_protobuf(body: bytes) -> Any:
    from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]  # noqa: PLC0415 - only where it is sent
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # noqa: PLC0415
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415 - as above
        ExportTraceServiceRequest,
    )

    try:
        export = MessageToDict(ExportTraceServiceRequest.FromString(body))
    except DecodeError as error:
        raise ValueError(str(error)) from error
    for of_resource in export.get("resourceSpans", []):
        for scope in of_resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                # This form writes bytes in base64, OTLP's own JSON in hexadecimal.
                for name in ("traceId", "spanId", "parentSpanId"):
                    span[name] = base64.b64decode(span.get(name, "")).hex()
    return export


def _span(span: dict[str, Any], service: str) -> Span:
    kind = span.get("kind", 0)
    number = kind if isinstance(kind, int) else _KIND_NAMES.get(str(kind), 0)
    return Span(
        str(span["traceId"]).lower(),
        str(span["spanId"]).lower(),
        str(span.get("parentSpanId") or "").lower(),
        str(span.get("name", "")),
        _KINDS[number] if number < len(_KINDS) else str(kind),
        _attributes(span),
        span.get("status", {}).get("code") in _ERROR,
        service,
    )


def _attributes(of: dict[str, Any]) -> dict[str, Any]:
    return {str(a["key"]): _value(a.get("value", {})) for a in of.get("attributes", [])}


def _value(value: dict[str, Any]) -> Any:
    for kind, content in value.items():
        # 64-bit numbers are texts in JSON.
        return int(content) if kind == "intValue" else content
    return None
