"""The wire instrument says precisely what came over a connection, and always ends."""

import socket
import struct
import threading

import pytest

from coursework.checks.failure import Failure
from coursework.checks.wire import Address, Connection
from tests.checks.raw_server import sends, serving

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def failure_of(handle, *, timeout_s=0.5):
    with serving(handle) as address, Connection(address) as line:
        line.send(REQUEST)
        with pytest.raises(Failure) as caught:
            line.reply(timeout_s=timeout_s)
    return caught.value


def test_replies_are_read_one_by_one():
    """Two replies in one packet are two replies; the bytes of each are kept."""
    with serving(sends(HELLO + HELLO.replace(b"hello", b"world"))) as address:
        with Connection(address) as line:
            line.send(REQUEST + REQUEST)
            assert line.reply().body == b"hello"
            assert line.received == HELLO
            assert line.reply().body == b"world"
            line.expect_closed()


def test_a_reply_to_head_has_no_body():
    """The length in a reply to HEAD announces nothing that follows."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    with serving(sends(head + HELLO)) as address, Connection(address) as line:
        line.send(REQUEST)
        assert line.reply(to="HEAD").body == b""
        assert line.reply().body == b"hello"


def test_chunks_are_joined():
    """A chunked body is given whole."""
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"
    )
    with serving(sends(chunked)) as address, Connection(address) as line:
        line.send(REQUEST)
        assert line.reply().body == b"hello"


def test_a_body_may_end_with_the_connection():
    """Without a length the body goes on to the end of the connection."""
    with serving(sends(b"HTTP/1.1 200 OK\r\n\r\nto the end")) as address:
        with Connection(address) as line:
            line.send(REQUEST)
            assert line.reply().body == b"to the end"


@pytest.mark.parametrize(
    ("data", "saw"),
    [
        (b"", "closed without a byte"),
        (b"SSH-2.0-x\r\n\r\n", "illegal status line"),
        (HELLO[:-2], "after"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000, "after"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + bytes(6_000_000), "no end"),
    ],
)
def test_what_came_instead_is_said(data, saw):
    """Nothing, half a reply, no HTTP, a head or a body without end: each has its words."""
    assert saw in failure_of(sends(data)).saw


def test_silence_ends_in_time():
    """A server that takes the request and says nothing is waited for only so long."""
    hold = threading.Event()
    failure = failure_of(lambda _: hold.wait(5), timeout_s=0.2)
    hold.set()
    assert failure.saw == "nothing in 0.2 s"


def test_a_drip_does_not_stretch_the_time():
    """The limit is for the whole reply: bytes that trickle in do not renew it."""
    stop = threading.Event()

    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not stop.wait(0.02):
            connection.sendall(b"a: b\r\n")

    failure = failure_of(drip, timeout_s=0.3)
    stop.set()
    assert failure.saw.startswith("no end after 0.3 s")


def test_a_closed_port_is_a_failure():
    """Nobody listening is the learner's failure, with a command to see it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Failure, match="connection refused") as caught:
        Connection(Address("127.0.0.1", port, port))
    assert str(port) in caught.value.command


def test_a_connection_that_nobody_holds_any_more_is_closed():
    """A check that fails in the middle lets go of it unclosed: no warning comes of that."""
    hung_up = threading.Event()

    def wait(connection):
        if connection.recv(1) == b"":
            hung_up.set()

    with serving(wait) as address:
        line = Connection(address)
        assert line.stays_open()
        del line
        assert hung_up.wait(5)


def test_an_early_answer_is_seen_while_sending():
    """A server that answers before the request is whole fails the sender's check."""
    with serving(sends(HELLO)) as address, Connection(address) as line:
        with pytest.raises(Failure, match="silence until the whole request"):
            line.send_in_pieces([REQUEST[:5], REQUEST[5:]], pause_s=1)


def test_pieces_arrive_as_packets_of_their_own():
    """Each piece can be read apart by the server."""
    seen = []

    def collect(connection):
        while data := connection.recv(65536):
            seen.append(data)
            if b"".join(seen) == REQUEST:
                connection.sendall(HELLO)
                return

    with serving(collect) as address, Connection(address) as line:
        line.send_in_pieces([bytes([b]) for b in REQUEST])
        line.reply().expect(200)
    assert len(seen) > len(REQUEST) / 2


def test_expect_closed_tells_an_open_connection():
    """A connection that stays open where it should close is a failure."""
    hold = threading.Event()

    def silent(_):
        hold.wait(5)

    with serving(silent) as address, Connection(address) as line:
        assert line.stays_open(0.01)
        with pytest.raises(Failure, match="still open"):
            line.expect_closed(within_s=0.1)
        line.expect_silence(0.05)
        hold.set()
        line.expect_closed()
        assert not line.stays_open()


def test_expect_silence_tells_a_hang_up():
    """Hanging up is not silence."""
    with serving(lambda _: None) as address, Connection(address) as line:
        with pytest.raises(Failure, match="hung up"):
            line.expect_silence(1)


CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"


def test_what_has_come_is_seen_before_the_reply_is_whole():
    """The same bytes are read again by the reply."""
    more = threading.Event()

    def handle(connection):
        connection.recv(65536)
        connection.sendall(HELLO[:-2])
        more.wait(5)
        connection.sendall(HELLO[-2:])

    with serving(handle) as address, Connection(address) as line:
        line.send(REQUEST)
        line.wait_for(b"hel")
        with pytest.raises(Failure) as late:
            line.wait_for(b"hello", timeout_s=0.05)
        assert late.value.looked_for == "'hello' within 0.05 s"
        assert late.value.saw.startswith("no end after 0.05 s, after 41 bytes")
        more.set()
        assert line.reply().body == b"hello"


def test_waiting_for_bytes_ends_with_the_connection():
    """The server hung up before they came."""
    with serving(sends(HELLO)) as address, Connection(address) as line:
        line.send(REQUEST)
        with pytest.raises(Failure, match=r"'world' before the end.*connection was closed"):
            line.wait_for(b"world")


@pytest.mark.parametrize("cut", [CHUNKS, HELLO[:-1], HELLO[:20], b""])
def test_a_cut_reply_is_broken_off(cut):
    """In chunks, by its length, in its head, or before it."""
    with serving(sends(cut)) as address, Connection(address) as line:
        line.send(REQUEST)
        line.expect_broken_off()


def test_a_reset_breaks_a_reply_off():
    """Also one without a length: the reset is seen."""

    def handle(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nto the")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serving(handle) as address, Connection(address) as line:
        line.send(REQUEST)
        line.expect_broken_off()


@pytest.mark.parametrize(
    ("data", "saw"),
    [
        (CHUNKS + b"0\r\n\r\n", "as if it were whole"),
        (HELLO, "as if it were whole"),
        (b"HTTP/1.1 200 OK\r\n\r\nto the", "which any end makes whole"),
        (b"good evening\r\n\r\n", "no HTTP"),
    ],
)
def test_a_reply_that_ends_politely_is_not_broken_off(data, saw):
    """Nobody could tell it from a whole one."""
    with serving(sends(data)) as address, Connection(address) as line:
        line.send(REQUEST)
        with pytest.raises(Failure, match=saw):
            line.expect_broken_off()


def test_letters_of_a_reply_are_told_as_letters():
    """And what ends lines, and what is no text, by its number."""
    polite = HELLO.replace(b"5", b"8").replace(b"hello", "žluť".encode() + b"\r\xff")
    with serving(sends(polite)) as address, Connection(address) as line:
        line.send(REQUEST)
        with pytest.raises(Failure, match=r"žluť\\r\\\\xff'$"):
            line.expect_broken_off()


def test_a_connection_to_who_died_since_does_not_come_again():
    """A command would show that nobody listens, and no more what was seen."""
    with serving(sends(b"")) as address, Connection(address) as line:
        line.send(REQUEST)
        with pytest.raises(Failure) as caught:
            line.reply()
        assert caught.value.comes_again is not None
        assert caught.value.comes_again()
    assert not caught.value.comes_again()


def test_a_reply_that_stays_open_is_not_broken_off():
    """It ends in time all the same."""

    def handle(connection):
        connection.recv(65536)
        connection.sendall(CHUNKS)
        connection.recv(65536)

    with serving(handle) as address, Connection(address) as line:
        line.send(REQUEST)
        with pytest.raises(Failure, match=r"still open after 0\.05 s"):
            line.expect_broken_off(timeout_s=0.05)
