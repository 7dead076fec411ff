"""Commands that a learner pastes into a terminal to see again what a check saw."""

import re
import shlex
import string
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from coursework.checks.failure import CHECK_AGAIN

# Nobody pastes more than that, and half a request shows nothing.
_LIMIT_BYTES = 1500
_NONE: Mapping[str, str] = MappingProxyType({})


def build_command(
    folder: Path, secrets: Mapping[str, str] = _NONE, args: Mapping[str, str] = _NONE
) -> str:
    """Return the command that builds a learner's folder, from wherever a terminal is.

    Args:
        folder: with the Dockerfile.
        secrets: texts by the id that the Dockerfile mounts.
        args: the build's arguments by name.
    """
    variables = [f"{name}={shlex.quote(text)}" for name, text in secrets.items()]
    words = ["docker", "build"]
    words += [f"--secret=id={name},env={name}" for name in secrets]
    words += [f"--build-arg={name}={text}" for name, text in args.items()]
    return " ".join([*variables, shlex.join([*words, str(folder)])])


def curl_command(method: str, path: str, headers: Mapping[str, str], body: bytes, port: int) -> str:
    """Return the curl command of one request; `CHECK_AGAIN` for one with a long body.

    Args:
        method: such as GET.
        path: as sent, with its query.
        headers: those that the check set.
        body: the bytes sent; empty for none.
        port: the published port on this machine.
    """
    if len(body) > _LIMIT_BYTES:
        return CHECK_AGAIN
    words = ["curl", "-i"]
    if method == "HEAD":
        words = ["curl", "-I"]
    elif method != "GET" and not (method == "POST" and body):
        words += ["-X", method]
    # Newer versions of curl resolve `%2e%2e` as well, and the server would see another path.
    if ".." in path.lower().replace("%2e", "."):
        words.append("--path-as-is")
    for name, value in headers.items():
        if name.lower() != "content-length":
            words += ["-H", f"{name}: {value}"]
    url = f"http://localhost:{port}{path}"
    if not body:
        return shlex.join([*words, url])
    if _is_plain(body):
        return shlex.join([*words, "--data-raw", body.decode(), url])
    return f"{_printf(body)} | {shlex.join([*words, '--data-binary', '@-', url])}"


def wire_command(sent: bytes, port: int) -> str:
    """Return the command that sends the same bytes to the published port and prints what comes.

    Of many bytes it is `CHECK_AGAIN`.
    """
    if len(sent) > _LIMIT_BYTES:
        return CHECK_AGAIN
    listen = f"curl -sS -m 2 telnet://localhost:{port}"
    return f"{_printf(sent)} | {listen}" if sent else f"{listen} </dev/null"


def beside_command(silent: int, port: int, command: str) -> str:
    """Return a curl command with silent connections beside it, which alone would be answered.

    Args:
        silent: how many connections are open, and send nothing.
        port: the published port on this machine.
        command: of `curl_command`.
    """
    opened = f"sleep 9 | curl -s -m 9 telnet://localhost:{port} > /dev/null"
    asked = command.replace("curl ", "curl -m 5 ", 1)
    return f"(for n in $(seq {silent}); do {opened} & done; sleep 1; {asked})"


def ended_command(container: str) -> str:
    """Return the command that shows what a container printed, and how it ended."""
    ended = "--format 'exit code {{.State.ExitCode}}'"
    return f"docker logs {container}; docker inspect {ended} {container}"


def running_command(container: str) -> str:
    """Return the command that shows what a container printed, and that it runs."""
    return f"docker logs {container}; docker ps --filter name={container}"


def listening_command(container: str, helper: str) -> str:
    """Return the command that shows what a container printed, and where it listens.

    Args:
        container: its name.
        helper: an image with netstat.
    """
    listening = f"docker run --rm --network=container:{container} {helper} netstat -ltn"
    return f"docker logs {container}; {listening}"


def stop_command(container: str, within_s: float) -> str:
    """Return the command that asks a container to end, and shows whether it has."""
    shown = f"docker ps --filter name={container}"
    return f"docker kill --signal=SIGTERM {container}; sleep {within_s:g}; {shown}"


def quoted(command: str) -> str:
    """Return a command as one word of a shell, with as few quotes in quotes as can be.

    Example:
        >>> print(quoted("docker inspect '--format={{.Id}}' lantern"))
        "docker inspect '--format={{.Id}}' lantern"

    """
    within_single = shlex.quote(command)
    # An interactive shell would look for `!` in its history.
    if "'" not in command or "!" in command:
        return within_single
    within_double = f'"{_READ_IN_DOUBLE.sub(_ESCAPED, command)}"'
    return min(within_double, within_single, key=len)


def _is_plain(body: bytes) -> bool:
    try:
        return body.decode().isprintable() and not body.startswith(b"@")
    except UnicodeDecodeError:
        return False


def _printf(data: bytes) -> str:
    text = "".join(_PRINTF.get(b, chr(b) if chr(b) in _PLAIN else f"\\{b:03o}") for b in data)
    return f"printf '{text}'"


_READ_IN_DOUBLE = re.compile(r'[$`"\\]')
_ESCAPED = r"\\\g<0>"

_PLAIN = string.digits + string.ascii_letters + string.punctuation + " "

# printf reads % and \ itself; a quote would end the shell's word.
_PRINTF = {
    ord("%"): "%%", ord("\\"): "\\\\", ord("'"): "'\\''",
    ord("\r"): "\\r", ord("\n"): "\\n",
}  # fmt: skip
