"""The project's own environment in .venv, made with what every Python brings."""

import hashlib
import os
import shutil
import sys
import threading
from pathlib import Path

from coursework.engine import find_engine, packages
from coursework.files import locked
from coursework.programs import last_words, run
from coursework.trouble import CourseError

OLDEST = (3, 11)
_INSTALLS_WITHIN_S = 900


def say(what: str) -> None:
    """Tell what happens."""
    print(f"· {what}", flush=True)  # noqa: T201


class Environment:
    """The environment of one clone.

    Args:
        root: the clone's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.python = self.venv / "bin" / "python"
        self.own_uv = root / ".course" / "uv"

    def fingerprint(self) -> str:
        """Return the digest of everything the environment was made from."""
        digest = hashlib.sha256(f"{sys.version}\n{self.root}\n".encode())
        for name in ("requirements.lock", "pyproject.toml"):
            digest.update((self.root / name).read_bytes())
        return digest.hexdigest()

    def is_current(self) -> bool:
        """Tell whether there is nothing to do."""
        try:
            known = (self.venv / "made-from").read_text("ascii")
        except OSError:
            return False
        return known == self.fingerprint() and self.python.exists()

    def make(self) -> None:
        """Install what the lock file pins, and the project itself so that edits count at once.

        Raises:
            CourseError: something is missing; with its fix.
        """
        uv = self.find_uv() or self.install_uv()
        if not self._python_works():
            _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(self.venv)])
        say("installing the locked packages into .venv")
        lock = str(self.root / "requirements.lock")
        target = ["--quiet", "--python", str(self.python)]
        _run([uv, "pip", "sync", *target, "--require-hashes", lock])
        _run([uv, "pip", "install", *target, "--no-deps", "--editable", str(self.root)])
        (self.venv / "made-from").write_text(self.fingerprint(), encoding="ascii")

    def find_uv(self) -> str | None:
        """Find a uv on PATH, or the one that was installed for this clone."""
        own = self.own_uv / "bin" / "uv"
        return shutil.which("uv") or (str(own) if own.exists() else None)

    def install_uv(self) -> str:
        """Install uv by pip into the clone's state: system Pythons refuse, some lack ensurepip.

        Raises:
            CourseError: the package index cannot be reached.
        """
        say("fetching uv, which installs the rest")
        if _works("import pip"):
            # Only `--target` is free of "externally managed environment".
            target = ["--target", str(self.own_uv), "--upgrade"]
            _run([sys.executable, "-m", "pip", "install", "--quiet", *target, "uv"])
        else:
            _run([sys.executable, "-m", "venv", "--clear", str(self.own_uv)])
            _run([str(self.own_uv / "bin" / "pip"), "install", "--quiet", "uv"])
        return str(self.own_uv / "bin" / "uv")

    def install_pip_where_missing(self) -> None:
        """Install the distribution's package that uv is fetched with, where nothing else can.

        Raises:
            CourseError: not root, or not Debian or Ubuntu.
        """
        if self.find_uv() or _works("import pip") or _works("import ensurepip"):
            return
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise CourseError(
                "This Python can make no environment.",
                why=f"{sys.executable} has neither pip nor ensurepip",
                fix="sudo apt-get install python3-venv",
            )
        packages.install(["python3-venv"], say)

    def _python_works(self) -> bool:
        if not self.python.exists():
            return False
        asked = f"import sys; sys.exit(sys.version_info < {OLDEST})"
        return run([self.python, "-c", asked]).returncode == 0


def _works(statement: str) -> bool:
    return run([sys.executable, "-c", statement]).returncode == 0


def _run(command: list[str]) -> None:
    variables = {
        **os.environ,
        "UV_COMPILE_BYTECODE": "1",  # a kernel then starts in 0.6 s instead of 1.6 s
        "UV_SYSTEM_CERTS": "1",  # company networks have a certificate authority of their own
        "UV_PYTHON_DOWNLOADS": "never",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    for inherited in ("PYTHONPATH", "VIRTUAL_ENV"):
        variables.pop(inherited, None)
    done = run(command, env=variables, timeout=_INSTALLS_WITHIN_S)
    if done.returncode:
        raise CourseError(
            f"`{Path(command[0]).name} {' '.join(command[1:3])}` failed.",
            why=last_words(done, 6).replace("\n", "\n        "),
            fix="see that the network reaches Python's package index, then type the command again",
        )


def install_packages() -> None:
    """Install curl, and what an engine needs where none answers; else who wants it says why."""
    missing = packages.missing_packages()
    if missing and find_engine():
        missing = [package for package in missing if package == "curl"]
    if not missing or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    try:
        packages.install(missing, say)
    except CourseError as error:
        say(str(error))


def prepare(root: Path) -> None:
    """Make a clone's environment, with the engine's packages meanwhile; do nothing if current.

    Raises:
        CourseError: something is missing; with its fix.
    """
    environment = Environment(root)
    if environment.is_current():
        return
    with locked(root / ".course" / "bootstrap.lock"):
        if environment.is_current():
            return
        environment.install_pip_where_missing()
        apt = threading.Thread(target=install_packages)
        apt.start()
        try:
            environment.make()
        finally:
            apt.join()
