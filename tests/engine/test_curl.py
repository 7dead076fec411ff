"""The small curl prints what the real one would, for the commands that failing checks print."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from coursework.engine import curl


class _Echo(BaseHTTPRequestHandler):
    """Answers with the method, the path and the body."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        said = f"{self.command} {self.path} {self.rfile.read(length).decode()}".encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said)

    do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def port() -> Iterator[int]:
    """Return the port of a server that answers what it was asked."""
    with HTTPServer(("127.0.0.1", 0), _Echo) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server.server_port
        server.shutdown()
        serving.join()


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], "GET /a?b=1 "),
        (["-X", "DELETE"], "DELETE /a?b=1 "),
        (["-d", "x=1"], "POST /a?b=1 x=1"),
        (["--json", '{"a": 1}', "-s"], 'POST /a?b=1 {"a": 1}'),
    ],
)
def test_it_sends_what_it_is_told(
    port: int, arguments: list[str], shown: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Method, address and body arrive as given, and the body of the answer is shown."""
    assert curl.main([*arguments, f"http://localhost:{port}/a?b=1"]) == 0
    assert capfdbinary.readouterr().out.decode() == shown


@pytest.mark.parametrize("option", ["-i", "-I"])
def test_the_head_is_shown_when_asked(
    port: int, option: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """`-i` and `-I` show the status line and the headers."""
    curl.main([option, f"localhost:{port}/"])
    assert capfdbinary.readouterr().out.startswith(b"HTTP/1.1 201 Created\r\n")


def test_a_refused_connection_exits_7(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing listening gives curl's own exit code, and a line that says so."""
    assert curl.main(["http://127.0.0.1:1/"]) == curl.FAILED_TO_CONNECT
    assert capfd.readouterr().err.startswith("curl: (7)")
