"""Spans as they arrive at a collector, in each form of OTLP/HTTP."""

import gzip
import json

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from coursework.checks.failure import Failure
from coursework.checks.reply import Headers
from coursework.checks.stub import Received
from coursework.checks.traces import Span, spans_in

TRACE, SPAN, PARENT = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "eee19b7ec3c1b173"
EXPECTED = Span(
    TRACE, SPAN, PARENT, "GET /x", "server", {"http.response.status_code": 503}, True, "lantern"
)  # fmt: skip
AS_JSON = {
    "resourceSpans": [
        {
            "resource": {
                "attributes": [{"key": "service.name", "value": {"stringValue": "lantern"}}]
            },
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": TRACE.upper(),
                            "spanId": SPAN,
                            "parentSpanId": PARENT,
                            "name": "GET /x",
                            "kind": 2,
                            "attributes": [
                                {"key": "http.response.status_code", "value": {"intValue": "503"}}
                            ],
                            "status": {"code": 2},
                        }
                    ]
                }
            ],
        }
    ]
}


def received(body, kind="application/json", **headers):
    """Return a request as a stub records it."""
    fields = [("Content-Type", kind), *((n.replace("_", "-"), v) for n, v in headers.items())]
    return Received("POST", "/v1/traces", "", Headers(fields), body)


def as_protobuf():
    """Return the same span as protocol buffers."""
    export = ExportTraceServiceRequest()
    of_resource = export.resource_spans.add()
    attribute = of_resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = "lantern"
    span = of_resource.scope_spans.add().spans.add(
        trace_id=bytes.fromhex(TRACE),
        span_id=bytes.fromhex(SPAN),
        parent_span_id=bytes.fromhex(PARENT),
        name="GET /x",
        kind=2,
    )
    span.attributes.add(key="http.response.status_code").value.int_value = 503
    span.status.code = 2
    return export.SerializeToString()


def test_json_and_protocol_buffers_say_the_same():
    """Compressed or not."""
    text = json.dumps(AS_JSON).encode()
    assert spans_in([received(text, "application/json; charset=utf-8")]) == [EXPECTED]
    assert spans_in([received(gzip.compress(text), Content_Encoding="gzip")]) == [EXPECTED]
    assert spans_in([received(as_protobuf(), "application/x-protobuf")]) == [EXPECTED]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"resourceSpans": 7}', b'{"resourceSpans": [{"scopeSpans": [[]]}]}'],
)
def test_what_is_no_spans_is_told(body):
    """Whatever an answer sends."""
    with pytest.raises(Failure, match="OTLP"):
        spans_in([received(body)])


def test_a_small_body_that_unpacks_to_a_large_one_is_cut():
    """No answer fills the grader's memory."""
    bomb = gzip.compress(b"0" * 100_000_000)
    with pytest.raises(Failure):
        spans_in([received(bomb, Content_Encoding="gzip")])
