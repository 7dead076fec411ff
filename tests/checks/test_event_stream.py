"""A stream of events is read as a browser reads it, however its bytes arrive."""

import threading

import pytest

from coursework.checks.event_stream import EventParser, EventStream, ServerEvent
from coursework.checks.failure import Failure
from coursework.checks.wire import Connection
from tests.checks.raw_server import sends, serving

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
SEAT = b'id: 7\nevent: booking\ndata: {"seat": "C4"}\n\n'


def parsed(text):
    return EventParser().feed(text)


def in_chunks(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def stream_of(address, **headers):
    return EventStream(Connection(address), "/events", headers)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_in_three_ways(end):
    """Fields in any order, one space behind the colon left out, until an empty line."""
    text = "data:a\nevent: booking\nid: 7\ndata:  b\n\n".replace("\n", end)
    assert parsed(text + "\n") == [ServerEvent("booking", "7", "a\n b")]


def test_a_line_end_may_arrive_in_two_halves():
    """A carriage return at the end of a packet is no line end of its own."""
    parser = EventParser()
    assert parser.feed("data: a\r") == []
    assert parser.feed("\ndata: b\r\n\r") == []
    assert parser.feed("\n") == [ServerEvent("message", "", "a\nb")]


def test_what_brings_nothing_is_no_event():
    """Comments, unknown fields and a name without data are passed over; an id stays."""
    assert parsed(": hello\n\nretry: 5\n\nid: 8\nevent: booking\n\n") == []
    [event] = parsed("id: 8\n\ndata\n\n")
    assert event == ServerEvent("message", "8", "")


def test_events_arrive_in_any_pieces():
    """Chunks may cut anywhere; what was asked for is what a browser asks."""
    asked = []

    def handle(connection):
        asked.append(connection.recv(65536))
        body = in_chunks(SEAT[:9], SEAT[9:], SEAT.replace(b"7", b"8"))
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        connection.recv(1)

    with serving(handle) as address, stream_of(address, **{"Last-Event-ID": "6"}) as stream:
        events = stream.wait_for(2)
        assert [(e.type, e.id, e.json()) for e in events] == [
            ("booking", "7", {"seat": "C4"}),
            ("booking", "8", {"seat": "C4"}),
        ]
        assert stream.listen(0.1) == events
    assert asked[0].startswith(b"GET /events HTTP/1.1\r\n")
    assert b"Last-Event-ID: 6\r\n" in asked[0]
    assert b"Accept: text/event-stream\r\n" in asked[0]


def test_a_stream_that_breaks_off_has_ended():
    """Half a reply is the end of a stream, and events before it count."""
    broken = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + in_chunks(SEAT) + b"ff\r\nid"
    with serving(sends(broken)) as address, stream_of(address) as stream:
        stream.wait_for_end()
        assert [event.id for event in stream.events] == ["7"]
        with pytest.raises(Failure) as caught:
            stream.wait_for(2)
    assert "1, and its end" in caught.value.saw


def test_what_does_not_come_is_missed():
    """Too few events, and an end that does not come, are told."""
    released = threading.Event()

    def handle(connection):
        connection.recv(65536)
        connection.sendall(HEAD + b"\r\n" + SEAT)
        released.wait(10)

    with serving(handle) as address, stream_of(address) as stream:
        with pytest.raises(Failure) as caught:
            stream.wait_for(2, within_s=0.2)
        assert caught.value.looked_for == "2 events from GET /events"
        assert "C4" in caught.value.saw
        with pytest.raises(Failure, match="still open"):
            stream.wait_for_end(within_s=0.1)
        released.set()


@pytest.mark.parametrize(
    ("reply", "saw"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", "200 · text/html"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404 · "),
        (b"no HTTP\r\n\r\n", "illegal"),
        (b"", "nothing"),
    ],
)
def test_what_is_no_stream_is_refused(reply, saw):
    """Another status or type, another protocol and silence are failures, when it is opened."""
    with serving(sends(reply)) as address, pytest.raises(Failure) as caught:
        EventStream(Connection(address), "/events", within_s=0.3)
    assert saw in caught.value.saw


def test_data_that_is_no_json_is_told():
    """An event's data is shown where it is not JSON."""
    with pytest.raises(Failure, match="half"):
        ServerEvent("booking", "7", '{"half').json()
