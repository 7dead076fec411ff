"""A buildx that compose accepts is fetched where the machine's is absent or too old."""

from pathlib import Path

import pytest

from coursework.engine import buildx


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3", (0, 13)),
        ("github.com/docker/buildx v0.29.1 28f6246", (0, 29)),
        ("no version at all", (0, 0)),
    ],
)
def test_the_version_is_read(tmp_path: Path, said: str, version: tuple[int, int]) -> None:
    """Debian's and Docker's own way to print the version are both understood."""
    plugin = tmp_path / "docker-buildx"
    plugin.write_text(f"#!/bin/sh\necho '{said}'\n", encoding="ascii")
    plugin.chmod(0o755)
    assert buildx.version(plugin) == version


def test_one_that_does_not_run_has_no_version(tmp_path: Path) -> None:
    """A plugin that is absent counts as older than any."""
    assert buildx.version(tmp_path / "absent") < buildx.OLDEST
