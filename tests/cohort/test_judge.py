"""Where submissions are judged: in sandboxes where the module runs commands of theirs."""

from pathlib import Path

import pytest

from coursework.cohort import judge
from coursework.engine import Engine
from coursework.layout import Layout
from coursework.modules.catalogue import Module

ENGINE = Engine("host", "unix:///run/docker.sock")


@pytest.mark.parametrize(
    ("sandbox", "cluster_images", "trusted", "opened"),
    [
        (True, ("postgres:17",), False, True),
        (True, ("postgres:17",), True, True),
        (False, ("postgres:17",), False, False),
        (True, (), True, True),
        (False, (), True, False),
        (False, (), False, True),
    ],
)
def test_a_module_with_a_sandbox_gets_one_also_where_it_has_a_cluster(
    sandbox: bool, cluster_images: tuple[str, ...], trusted: bool, opened: bool,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Manifests alone are judged in a namespace, and need none."""
    fleet = object()
    monkeypatch.setattr(judge, "open_fleet", lambda *_, **__: fleet)
    monkeypatch.setattr(judge, "warming_answers", lambda *_: [])
    monkeypatch.setattr("coursework.cohort.judge.rootless.unsupported_reason", lambda _: "")
    module = Module(
        "97-any", "T", "P", ("o",), (), 5, (), cluster_images=cluster_images, sandbox=sandbox
    )
    place = judge.open_sandboxes(
        Layout(tmp_path), module, ENGINE, print, ahead=1, wanted=1, trusted=trusted
    )
    assert (place is fleet) == opened
