"""The commands of a report send what the check sent, when pasted into a terminal."""

import subprocess

import pytest

from coursework.checks.failure import CHECK_AGAIN
from coursework.checks.retype import build_command, curl_command, quoted, wire_command
from tests.checks.raw_server import serving


def sent_by(command_for):
    """Run a command against a server that notes what arrives."""
    seen = []

    def note(connection):
        connection.settimeout(2)
        data = b""
        while b"\r\n\r\n" not in data or not data.endswith(b"END"):
            more = connection.recv(65536)
            data += more
            if not more or data.endswith((b"\r\n\r\n", b"END")):
                break
        seen.append(data)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with serving(note) as address:
        command = command_for(address.typed_port)
        done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=10, check=False)
    return seen[0], done.stdout


@pytest.mark.parametrize(
    "body",
    [b"plain END", b'{"quoted": "it\'s"}END', b"\x00\xff%d\\n'\r\n END", b"@file END"],
)
def test_curl_sends_the_body(body):
    """Bodies with quotes, percent signs, NULs and newlines arrive byte for byte."""
    sent, printed = sent_by(lambda port: curl_command("POST", "/notes?a=b", {}, body, port))
    assert sent.startswith(b"POST /notes?a=b HTTP/1.1\r\n")
    assert sent.partition(b"\r\n\r\n")[2] == body
    assert b"200 OK" in printed


def test_a_request_that_nobody_would_paste_is_checked_again():
    assert curl_command("POST", "/", {}, b"x" * 2000, 3000) == CHECK_AGAIN
    assert wire_command(b"x" * 2000, 3000) == CHECK_AGAIN


def test_curl_sends_method_and_fields():
    """The method and the check's own fields are in the command."""
    sent, _ = sent_by(lambda port: curl_command("DELETE", "/a/../b", {"X-Name": "a b"}, b"", port))
    assert sent.startswith(b"DELETE /a/../b HTTP/1.1\r\n")
    assert b"X-Name: a b\r\n" in sent


@pytest.mark.parametrize("path", ["/a/../b", "/a/%2e%2E/b", "/a/.%2e/b"])
def test_curl_sends_dots_as_they_are(path):
    """No version of curl may resolve "one up", however it is spelt."""
    assert "--path-as-is" in curl_command("GET", path, {}, b"", 3000)


def test_the_wire_command_sends_the_same_bytes():
    """Raw bytes are sent as they were, and the answer is printed."""
    data = b"GET /100%\\'x HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n\x01END"
    sent, printed = sent_by(lambda port: wire_command(data, port))
    assert sent == data
    assert b"200 OK" in printed


def test_a_build_is_retyped_from_wherever_the_terminal_is(tmp_path):
    """The whole path, quoted: a lab's terminal opens in another folder than a cell."""
    folder = tmp_path / "Ada's course" / "work"
    script = f'docker() {{ printf "%s|" "$@"; }}; {build_command(folder)}'
    done = subprocess.run(["bash", "-c", script], cwd="/", capture_output=True, text=True)  # noqa: PLW1510
    assert done.stdout == f"build|{folder}|"


def test_a_build_with_a_secret_is_retyped_with_the_secret_in_a_variable(tmp_path):
    """The secret is no word of the command line, where every process of the machine could read."""
    command = build_command(tmp_path, {"token": "it's"}, {"REVISION": "4f 2a"})
    script = f'docker() {{ printf "%s|" "$token" "$@"; }}; {command}'
    done = subprocess.run(["bash", "-c", script], cwd="/", capture_output=True, text=True)  # noqa: PLW1510
    wanted = ["it's", "build", "--secret=id=token,env=token", "--build-arg=REVISION=4f 2a"]
    assert done.stdout == "|".join([*wanted, str(tmp_path), ""])


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("docker ps --all", "'docker ps --all'"),
        ("docker inspect '--format={{.Id}}' x", "\"docker inspect '--format={{.Id}}' x\""),
        ("""curl -d '{"id": 1}' x""", """ "curl -d '{\\"id\\": 1}' x" """.strip()),
        ("printf '$x'; `date`", "\"printf '\\$x'; \\`date\\`\""),
        ("echo 'a!'", """'echo '"'"'a!'"'"''"""),
        (r"printf 'a\r\n\\'", "\"printf 'a\\\\r\\\\n\\\\\\\\'\""),
        ("true", "true"),
    ],
)
def test_a_command_in_a_command_has_few_quotes_in_quotes(command, shown):
    """A shell reads it as it was."""
    assert quoted(command) == shown
    done = subprocess.run(
        ["bash", "-c", f"printf %s {quoted(command)}"], capture_output=True, text=True, check=True
    )
    assert done.stdout == command
