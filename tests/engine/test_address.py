"""The user's own Docker is found where the docker command would find it."""

import hashlib
import http.server
import json
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from coursework.engine import address
from coursework.engine.connection import start_engine
from coursework.trouble import CourseError


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty Docker folder that counts as the user's."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def test_docker_host_is_a_decision(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where DOCKER_HOST is set nothing else is tried."""
    del settings
    monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere.sock")
    assert address.host_addresses() == ["unix:///elsewhere.sock"]


def test_the_current_context_comes_first(settings: Path) -> None:
    """The context that the user chose is tried before the default socket."""
    (settings / "config.json").write_text('{"currentContext": "desktop"}', encoding="utf-8")
    folder = settings / "contexts" / "meta" / hashlib.sha256(b"desktop").hexdigest()
    folder.mkdir(parents=True)
    meta = {"Name": "desktop", "Endpoints": {"docker": {"Host": "unix:///desktop.sock"}}}
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    assert address.host_addresses() == ["unix:///desktop.sock", "unix:///var/run/docker.sock"]


def test_without_settings_the_default_socket_is_tried(settings: Path) -> None:
    """A user without Docker settings has Docker at its default socket."""
    del settings
    assert address.host_addresses() == ["unix:///var/run/docker.sock"]


def test_something_that_never_answers_is_no_engine(tmp_path: Path) -> None:
    """A program that listens and stays silent is given up on after the time named."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        assert not address.probe(f"unix://{tmp_path}/s", timeout_s=0.05).answers


def test_something_that_speaks_no_http_is_no_engine(tmp_path: Path) -> None:
    """A program that answers nonsense is no engine, and no crash."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "s"))
        other.listen()

        def answer() -> None:
            caller, _ = other.accept()
            with caller:
                caller.recv(4096)
                caller.sendall(b"nonsense\n")

        speaking = threading.Thread(target=answer)
        speaking.start()
        assert not address.probe(f"unix://{tmp_path}/s").answers
        speaking.join()


@pytest.mark.parametrize(
    ("where", "local"),
    [
        ("unix:///var/run/docker.sock", True),
        ("tcp://localhost:2375", True),
        ("tcp://192.0.2.1:2375", False),
        ("ssh://someone@example.org", False),
    ],
)
def test_only_an_engine_of_this_machine_will_do(where: str, *, local: bool) -> None:
    """Ports that containers publish open here only where the engine is here."""
    assert address.is_local(where) is local


def test_an_engine_elsewhere_is_refused_with_a_fix(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine on another machine is named, with the way back."""
    del settings
    monkeypatch.setenv("DOCKER_HOST", "ssh://someone@example.org")
    with pytest.raises(CourseError, match="another machine") as caught:
        start_engine()
    assert "unset DOCKER_HOST" in caught.value.fix


def test_a_named_engine_that_is_silent_is_not_replaced(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where DOCKER_HOST names an engine that does not answer, no other is started."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{settings}/none.sock")
    monkeypatch.setenv("XDG_CACHE_HOME", str(settings))
    with pytest.raises(CourseError, match="no engine answers there"):
        start_engine()


@pytest.mark.parametrize(
    ("typed", "address_of"),
    [
        ("localhost:23750", "tcp://localhost:23750"),
        (":2375", "tcp://:2375"),
        ("[::1]:2375", "tcp://[::1]:2375"),
        ("tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375"),
        ("unix:///run/docker.sock", "unix:///run/docker.sock"),
    ],
)
def test_docker_host_is_read_as_docker_reads_it(settings, monkeypatch, typed, address_of):
    """A host and a port without more are TCP."""
    del settings
    monkeypatch.setenv("DOCKER_HOST", typed)
    assert address.host_addresses() == [address_of]
    assert address.is_local(address_of)


@pytest.mark.parametrize(
    "typed", ["npipe:////./pipe/docker_engine", "/var/run/docker.sock", "fd://"]
)
def test_an_address_that_nothing_here_can_open_is_said(settings, monkeypatch, typed):
    """It is not on another machine: it is no address."""
    monkeypatch.setenv("DOCKER_HOST", typed)
    monkeypatch.setenv("XDG_CACHE_HOME", str(settings))
    with pytest.raises(CourseError, match="no address that is understood") as caught:
        start_engine()
    assert "unix://" in caught.value.why
    assert "tcp://" in caught.value.why


def test_an_engine_that_speaks_tls_is_named_so(settings, monkeypatch):
    """A server that shows a certificate is told from one that does not answer."""
    key, certificate = settings / "key.pem", settings / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"127.0.0.1:{server.server_port}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(settings))
    try:
        with pytest.raises(CourseError, match="no engine answers there") as caught:
            start_engine()
    finally:
        server.shutdown()
        server.server_close()
    assert "TLS" in caught.value.why
