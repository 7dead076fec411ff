"""course cluster: what a person types and reads."""

import json
import subprocess

import pytest
import yaml
from click.testing import CliRunner

from coursework.cluster import Node
from coursework.cluster.node import INGRESS_PORT
from coursework.commands.cluster import command
from coursework.engine import command_line

pytestmark = pytest.mark.engine


@pytest.fixture
def typed(node, monkeypatch, tmp_path):
    """Return what types a command at the tests' own cluster, with files of its own."""
    monkeypatch.setattr(Node.__init__, "__defaults__", (node.name,))
    monkeypatch.setattr(command_line, "kubeconfig", lambda: tmp_path / "kubeconfig")
    monkeypatch.setattr(command_line, "programs", lambda: tmp_path)
    return lambda *words: CliRunner().invoke(command, words)


def test_status_tells_that_it_is_ready(typed, node):
    told = typed("status")
    assert told.exit_code == 0
    assert told.output.startswith("✓ Kubernetes is ready, ")
    assert node.address in told.output
    ingress = f"http://localhost:{node.published_port(INGRESS_PORT)}"
    assert f"Ingresses answer at {ingress}\n" in told.output
    assert json.loads(typed("status", "--json").output)["ready"] is True


def test_a_start_gives_terminals_a_kubectl_that_reaches_it(typed, tmp_path):
    assert "Kubernetes is ready" in typed("start").output
    assert (tmp_path / "kubeconfig").stat().st_mode & 0o777 == 0o600
    asked = subprocess.run(
        [tmp_path / "kubectl", f"--kubeconfig={tmp_path}/kubeconfig", "get", "nodes"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Ready" in asked.stdout
    first = (tmp_path / "kubectl").stat().st_mtime_ns
    typed("start")
    assert (tmp_path / "kubectl").stat().st_mtime_ns == first


def test_the_kubeconfig_is_printed_for_any_kubectl(typed, node):
    config = yaml.safe_load(typed("kubeconfig").output)
    assert config["clusters"][0]["cluster"]["server"] == node.access().server


def test_an_image_is_copied_once(typed):
    typed("load", "busybox:1.37")
    assert typed("load", "busybox:1.37").output.endswith("✓ busybox:1.37 was there already\n")


def test_what_is_not_there_is_told_with_the_way_out(typed, monkeypatch):
    monkeypatch.setattr(Node.__init__, "__defaults__", ("course-cluster-nobody",))
    told = typed("status")
    assert told.exit_code == 1
    assert told.output == "✗ Kubernetes is absent\n  fix   course cluster start\n"
    assert typed("stop").output == "No Kubernetes runs.\n"
    assert typed("stop", "--delete").output == "There is no Kubernetes.\n"
