"""The file system that built images begin with, and what is told where it cannot be made."""

import os
import ssl

import pytest

from coursework.images import rootfs
from coursework.trouble import CourseError


def silent(_):
    """Take progress and show none."""


def test_the_certificates_are_those_that_this_machine_trusts():
    """They are PEM that a TLS client takes."""
    context = ssl.create_default_context(cadata=rootfs.host_ca_bundle().decode())
    assert context.cert_store_stats()["x509_ca"] > 0


def test_without_root_and_mmdebstrap_the_way_out_is_said(tmp_path, monkeypatch):
    """A user who can install nothing is told of bundles; nothing is left."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(CourseError, match="cannot be built here") as error:
        rootfs.make_rootfs(tmp_path / "rootfs.tar", tmp_path / "options.txt", silent)
    assert "mmdebstrap is missing" in error.value.why
    assert "course images load" in error.value.fix
    assert list(tmp_path.iterdir()) == []


def test_a_failed_mmdebstrap_leaves_no_file(tmp_path, monkeypatch):
    """Its last words are shown."""
    program = tmp_path / "mmdebstrap"
    program.write_text("#!/bin/sh\necho 'E: no route to the mirror' >&2\nexit 25\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(rootfs, "_KEYRING", program)
    options = tmp_path / "options.txt"
    options.write_text("trixie\n", "utf-8")
    with pytest.raises(CourseError, match="could not be made") as error:
        rootfs.make_rootfs(tmp_path / "rootfs.tar", options, silent)
    assert error.value.why == "E: no route to the mirror"
    assert not list(tmp_path.glob("rootfs*"))
