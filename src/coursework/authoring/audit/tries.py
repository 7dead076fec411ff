"""The command of a failure, typed as a learner would: its output must show what was seen."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from coursework.authoring.audit.answers import Answer
from coursework.checks.verdict import CheckResult
from coursework.engine import Engine
from coursework.files import lay_files
from coursework.layout import Layout
from coursework.modules.module_files import module_files
from coursework.sandbox.inside import answer_folder, entering

_WITHIN_S = 12.0
# A stack that goes down and comes up again takes its time.
_COMPOSE, _COMPOSED_WITHIN_S = "docker compose", 90.0
_ENDS_WITHIN_S = 2.0
_LIMIT_CHARACTERS = 200_000
_IN_SANDBOX = ["course", "shell"]
_CHECKED_AGAIN = "course check"
# A command that shows nothing of the answer.
_USELESS = (
    "No such container", "No such object", "command not found", "syntax error",
    "unexpected EOF", "unable to prepare context", "the connection to the server",
)  # fmt: skip
# A reply as a report words it begins with its status; what a database counts is none.
_REPLY = re.compile(r"([1-5]\d\d)\b(?! statements| blocks)")
# What looks into a store names there what it looks at, and prints its value only.
_LOOKS = "docker exec "
# What is missing: whatever is printed instead shows that.
_MISSING = re.compile(r"(no such|none)\b")
# What the instruments call the end of a connection, and how curl does.
_CURL_SAYS = {
    "refused": ("failed to connect", "couldn't connect", "refused"),
    "closed": ("empty reply", "closed", "reset", "recv failure"),
    "hung up": ("empty reply", "closed", "reset", "recv failure"),
    "no HTTP": ("http/0.9", "unsupported http"),
    "reset": ("empty reply", "reset", "recv failure"),
}
# Who waits for an answer that does not come ends the command.
_TIMED_OUT = "curl: (28)"
_WAITS = ("nothing in ", "no end after ", "still open")
# How docker ps says that a container runs.
_RUNS = re.compile(r"\bup (\d+|about|less)")
_ENDED = re.compile(r"exit code \d+")
_LISTENS = re.compile(r"listens on (\S+:\d+)")
_WORD = re.compile(r"[^\W_][\w./:+-]*[^\W_]|\d")
_ENOUGH = 0.5
# A word of that many characters is in no output by chance: a key, a hash, a token.
_UNLIKELY = 20


@dataclass(frozen=True)
class Typed:
    """A command that was typed.

    Args:
        output: of both kinds, as a terminal shows it.
        was_ended: whether somebody had to end it.
    """

    output: str
    was_ended: bool = False


class Reader:
    """Types the command of one failure as soon as it is told, while all of it is there.

    Args:
        check: of whose failure.
        engine: in which the answer is graded.
        outer: the engine of this machine.
        folder: with the answer.
    """

    def __init__(self, check: str, engine: Engine, outer: Engine, folder: Path) -> None:
        self._check, self._engine, self._outer, self._folder = check, engine, outer, folder
        self.not_shown = ""

    def read(self, result: CheckResult) -> None:
        """Type the command of a result, where it is the failure that was waited for."""
        if result.name != self._check or result.verdict != "failed":
            return
        typed = type_command(result.command, self._engine, self._outer, self._folder)
        if typed and (what := not_shown(result.saw, typed, result.command)):
            self.not_shown = f"saw {result.saw[:160]!r}; {result.command[:200]} shows {what}"


@contextmanager
def laid_out(layout: Layout, slug: str, answer: Answer) -> Iterator[Path]:
    """Lay an answer out as a learner has it, in a folder that is gone afterwards."""
    with TemporaryDirectory(prefix="course-answer-") as place:
        folder = Path(place)
        files = answer.files
        alone = answer.is_alone
        lay_files(folder, files if alone else module_files(layout, slug).around(files))
        yield folder


def type_command(command: str, engine: Engine, outer: Engine, folder: Path) -> Typed | None:
    """Type a command in a learner's terminal; None where it only checks the answer again.

    Args:
        command: of a report.
        engine: in which the answer runs; one of its own is entered as `course shell` does.
        outer: the engine of this machine.
        folder: where the terminal is.
    """
    if command.startswith(_CHECKED_AGAIN):
        return None
    words = ["bash", "-c", command]
    if command.startswith(" ".join(_IN_SANDBOX)):
        _, _, slug, *_, typed = shlex.split(command)
        # The folder is there as soon as a check, or what keeps the engine, has laid it.
        inside = ["sh", "-c", f"cd {answer_folder(slug)} 2>/dev/null; {typed}"]
        words = entering(engine.container, "/tmp", inside, terminal=False)  # noqa: S108 - inside
    within_s = _COMPOSED_WITHIN_S if _COMPOSE in command else _WITHIN_S
    return _run(words, outer.environment(), folder, within_s)


def _run(words: list[str], environment: Mapping[str, str], folder: Path, within_s: float) -> Typed:
    process = subprocess.Popen(
        words, cwd=folder, env=dict(environment), start_new_session=True, text=True,
        errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    was_ended, output = False, ""
    for number in (0, signal.SIGTERM, signal.SIGKILL):
        if number:
            was_ended = True
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            output, _ = process.communicate(timeout=_ENDS_WITHIN_S if number else within_s)
            break
    return Typed(output[:_LIMIT_CHARACTERS], was_ended)


def not_shown(saw: str, typed: Typed, command: str = "") -> str:
    """Say what a command shows instead of what a report says was seen; empty where it shows it.

    Args:
        saw: of the report.
        typed: what its command printed.
        command: as it was typed.
    """
    output = typed.output.lower()
    if useless := next((s for s in _USELESS if s.lower() in output and s not in saw), ""):
        return useless
    if _is_told_otherwise(saw, output, typed):
        return ""
    instead = f"but {typed.output[-160:]!r}"
    if reply := _REPLY.match(saw):
        return "" if f" {reply[1]}" in output else f"no status {reply[1]}, {instead}"
    words = {word.lower() for word in _WORD.findall(saw)}
    told = f"{command.lower()} {output}" if _LOOKS in command and output.strip() else output
    shown = [word for word in words if word in told]
    if any(len(word) >= _UNLIKELY and word in output for word in words):
        return ""
    return "" if len(shown) >= _ENOUGH * len(words) else f"none of it, {instead}"


def _is_told_otherwise(saw: str, output: str, typed: Typed) -> bool:
    """Tell whether docker or curl say the same in words of their own."""
    if any(sign in saw for sign in _WAITS) and (typed.was_ended or _TIMED_OUT in output):
        return True
    if "still runs" in saw and _RUNS.search(output):
        return True
    if _MISSING.match(saw) and output.strip():
        return True
    told = [*_ENDED.findall(saw), *_LISTENS.findall(saw)]
    told += [word for sign, words in _CURL_SAYS.items() if sign in saw for word in words]
    return any(word in output for word in told)
