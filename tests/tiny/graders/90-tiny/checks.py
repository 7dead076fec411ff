"""Checks of the smallest module: each word of the vocabulary once, with short limits."""

import pytest

from coursework.checks import Image, Random, Server, Submission, at_once, fail, points


@pytest.fixture(scope="module")
def server(image: Image) -> Server:
    """A server on its default port."""
    return image.start(ready_within_s=4.0, memory="64m")


@pytest.fixture(scope="module")
def elsewhere(image: Image) -> Server:
    """A server that is told another port."""
    return image.start(env={"PORT": "4000"}, port=4000, ready_within_s=4.0, memory="64m")


@points(
    3,
    hints=("Compare the body byte by byte.", "The greeting ends without a newline."),
    link="Greeting",
)
def check_greets(server: Server) -> None:
    """GET / answers hello"""
    server.get("/", timeout_s=2).expect(200, type="text/plain", body="hello")


@points(2, hints=("Read the port from the environment.",))
def check_takes_port(elsewhere: Server) -> None:
    """it listens on $PORT and says so"""
    elsewhere.get("/", timeout_s=2).expect(200)
    elsewhere.wait_for_log("listening on 4000", within_s=4)


@points(2)
def check_echoes(server: Server, random: Random) -> None:
    """POST /echo answers the same bytes, as JSON where it was JSON"""
    value = {"word": random.word(), "text": random.text()}
    server.post("/echo", json=value, timeout_s=2).expect(200, exactly=value)
    with server.connect() as line:
        line.send_in_pieces([b"POST /echo HTTP/1.1\r\nHost: x\r\n", b"Content-Length: 2\r\n\r\nok"])
        line.reply(timeout_s=2).expect(200, body=b"ok")


@points(2, needs=("greets",))
def check_serves_many(server: Server) -> None:
    """eight at once are answered"""
    with at_once(lambda n: server.get(f"/?{n}", timeout_s=2), range(8)) as crowd:
        server.get("/", timeout_s=2).expect(200)
    assert [r.status for r in crowd.results()] == [200] * 8


@points(1)
def check_fails_loudly(image: Image, submission: Submission) -> None:
    """with a broken PORT it ends with an error"""
    assert submission.files["greeting.txt"] == b"welcome\n"
    finished = image.run(env={"PORT": "none"}, within_s=4)
    if finished.exit_code == 0:
        fail("an exit code that is not 0", "exit code 0")
