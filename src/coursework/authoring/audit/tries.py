"""The command of a failure, typed as a learner would: its output must show what was seen."""

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from coursework.checks.verdict import CheckResult
from coursework.engine import Engine
from coursework.sandbox.inside import entering

_WITHIN_S = 12.0
_LIMIT_CHARACTERS = 200_000
_IN_SANDBOX = ("course", "shell")
_CHECKED_AGAIN = ("course", "check")
# A reply as a report words it: status, media type, fields, body.
_REPLY = re.compile(r"(\d{3}) · ")
# What the instruments call the end of a connection, and how curl does.
_CURL_SAYS = {
    "refused": ("Failed to connect", "Couldn't connect", "refused"),
    "closed": ("Empty reply", "closed", "reset", "Recv failure", "transfer closed"),
    "hung up": ("Empty reply", "closed", "reset", "Recv failure", "transfer closed"),
    "reset": ("Empty reply", "reset", "Recv failure"),
}
# What waits for an answer that does not come is ended by a person.
_WAITS = ("nothing in ", "no end after ", "still runs", "timed out", "still open")
# A command that cannot even be typed.
_USELESS = (
    "No such container", "No such object", "command not found", "syntax error",
    "unexpected EOF", "unable to prepare context", "the connection to the server",
)  # fmt: skip
_WORD = re.compile(r"[^\W_][\w./:+-]*[^\W_]|\d")
_ENOUGH = 0.5


@dataclass(frozen=True)
class Typed:
    """A command that was typed.

    Args:
        output: of both kinds, as a terminal shows it.
        was_ended: whether it had to be ended.
    """

    output: str
    was_ended: bool


def type_command(
    command: str, engine: Engine, environment: Mapping[str, str], folder: Path
) -> Typed | None:
    """Type a command in a learner's terminal; None where it only checks the answer again.

    Args:
        command: of a report.
        engine: in which the answer runs still; in a sandbox it is entered as `course shell` does.
        environment: of the terminal.
        folder: where the answer lies.
    """
    words = shlex.split(command) if command.startswith("course ") else []
    if tuple(words[:2]) == _CHECKED_AGAIN:
        return None
    if tuple(words[:2]) == _IN_SANDBOX:
        inside = ["sh", "-c", words[-1]]
        words = entering(engine.container, "/tmp", inside, terminal=False)  # noqa: S108 - inside
    else:
        words = ["bash", "-c", command]
    return _run(words, environment, folder)


def _run(words: list[str], environment: Mapping[str, str], folder: Path) -> Typed:
    process = subprocess.Popen(
        words, cwd=folder, env=dict(environment), start_new_session=True, text=True,
        errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    was_ended = False
    try:
        output, _ = process.communicate(timeout=_WITHIN_S)
    except subprocess.TimeoutExpired:
        was_ended = True
        os.killpg(process.pid, signal.SIGTERM)
        time.sleep(0.2)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    return Typed(output[:_LIMIT_CHARACTERS], was_ended)


def not_shown(result: CheckResult, typed: Typed) -> str:
    """Say what of a failure its command does not show; empty where it shows it.

    Args:
        result: of the failed check.
        typed: its command.
    """
    output = typed.output
    useless = next((sign for sign in _USELESS if sign in output and sign not in result.saw), "")
    if useless:
        return useless
    if any(sign in result.saw for sign in _WAITS):
        return "" if typed.was_ended or _shares_words(result.saw, output) else "it ends at once"
    signs = [says for sign, says in _CURL_SAYS.items() if sign in result.saw]
    if signs and any(word.lower() in output.lower() for says in signs for word in says):
        return ""
    if reply := _REPLY.match(result.saw):
        status = f" {reply[1]}"
        return "" if status in output.split("\n")[0] or status in output else f"no{status}"
    return "" if _shares_words(result.saw, output) else "none of its words"


def _shares_words(saw: str, output: str) -> bool:
    words = {word.lower() for word in _WORD.findall(saw)}
    there = output.lower()
    shared = [word for word in words if word in there]
    return len(shared) >= _ENOUGH * len(words)
