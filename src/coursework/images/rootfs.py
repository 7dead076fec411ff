"""The file system that all built images begin with: a small Debian, made by mmdebstrap."""

import os
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

from coursework.engine import packages
from coursework.trouble import CourseError

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def make_rootfs(target: Path, options: Path, progress: Callable[[str], None]) -> None:
    """Make the root file system as a tar file, from the distribution's packages.

    Args:
        target: the file to write; it is not there unless it is whole.
        options: a file with what mmdebstrap is told, one a line; the last is the suite.
        progress: is told what happens.

    Raises:
        CourseError: mmdebstrap is missing and cannot be had, or it failed.
    """
    _require_mmdebstrap(progress)
    told = [x for x in options.read_text("utf-8").splitlines() if x and not x.startswith("#")]
    process = subprocess.Popen(
        ["mmdebstrap", "--format=tar", *told, str(target)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Ctrl-C reaches us alone: told twice to end, it would leave its folders behind.
        start_new_session=True,
    )
    last = ""
    with process:
        try:
            for line in process.stderr or ():
                last = line.strip() or last
                if last.endswith("..."):
                    progress(last.removeprefix("I: "))
        except BaseException:
            process.terminate()
            process.communicate()
            target.unlink(missing_ok=True)
            raise
    if process.returncode:
        target.unlink(missing_ok=True)
        raise CourseError(
            "The base image's file system could not be made.",
            why=last,
            fix="look at the network and the disk, then type the command again",
        )


def _require_mmdebstrap(progress: Callable[[str], None]) -> None:
    missing = [] if shutil.which("mmdebstrap") else ["mmdebstrap"]
    if not _KEYRING.is_file():
        missing.append("debian-archive-keyring")
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CourseError(
            "No image registry answers, and images cannot be built here.",
            why=f"{' and '.join(missing)} is missing; only root on Debian or Ubuntu can install it",
            fix="course images load FILE  (a bundle from another machine), or reach a registry",
        )
    packages.install(missing, progress)


def host_ca_bundle() -> bytes:
    """Return the certificates that this machine trusts, as PEM."""
    path = ssl.get_default_verify_paths().cafile
    if path and Path(path).is_file():
        return Path(path).read_bytes()
    import certifi  # noqa: PLC0415 - only where the system has no bundle

    return Path(certifi.where()).read_bytes()
