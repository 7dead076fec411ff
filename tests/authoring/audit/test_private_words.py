"""What outputs may not tell of the machine that made them."""

import socket
from pathlib import Path

import pytest

from coursework.authoring.audit.private_words import private_words, without_folder
from coursework.authoring.outputs import Picture

ROOT = Path("/srv/somebody/clone")


def words(text, lesson="read https://expressjs.com first"):
    return private_words((text,), ROOT, lesson)


def test_the_folder_of_the_run_is_named_as_a_learner_s(tmp_path):
    """Its name is a temporary one; a learner's is work/NN-slug."""
    picture = Picture(b"x")
    shown = without_folder([(f"{tmp_path}/server.py\n", picture), ()], tmp_path, "10-alpha")
    assert shown == (("…/work/10-alpha/server.py\n", picture), ())


def test_the_clone_is_private():
    assert words(f"running {ROOT}/.venv/bin/python") == [str(ROOT)]


def test_hosts_of_packages_are_told_unless_the_lesson_names_them():
    """A package manager prints whom it asked: elsewhere that is somebody else."""
    text = "Get:1 http://deb.example.org/debian\nnpm warn https://registry.example.org:8443/x"
    assert words(text) == ["deb.example.org", "registry.example.org"]
    assert words(text, "from deb.example.org and registry.example.org") == []


@pytest.mark.parametrize(
    "address",
    ["http://localhost:3000/", "http://127.0.0.1:32768", "http://[::1]:80/", "http://web:3000/api",
     "http://web.lantern.svc.cluster.local", "http://db.internal", "https://shop.example/seats",
     "https://curl.se/docs/sslcerts.html", "https://docs.npmjs.com/cli", "https://expressjs.com"],
)  # fmt: skip
def test_other_addresses_are_fine(address):
    """Lessons ask their own servers, and programs say where to read more."""
    assert words(f"curl: {address}") == []


def test_the_host_s_name_and_what_its_variables_name_are_private(monkeypatch):
    """Proxies and indexes are told by variables; their values are looked for, not shown to be."""
    monkeypatch.setattr(socket, "gethostname", lambda: "build-machine-7")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:word@proxy.corp.test:3128")
    monkeypatch.setenv("PIP_INDEX_URL", "https://pypi.corp.test/simple")
    text = "on build-machine-7 via proxy.corp.test:3128, Looking in indexes: pypi.corp.test"
    assert sorted(words(text)) == ["build-machine-7", "proxy.corp.test", "pypi.corp.test"]
