"""A short way into a sandbox: a port of its own address that leads to one inside."""

import threading
from functools import cache

from coursework.engine import Engine
from coursework.sandbox.inside import Running
from coursework.trouble import CourseError

_WITHIN_S = 10.0
# A published port is one of the network in which rootlesskit runs the sandbox's engine, and the
# containers' addresses are, too: it leads further ports there, or says which it leads already.
_ASK = 'ask() { rootlessctl --socket /run/user/1000/dockerd-rootless/api.sock "$@"; }\n'
_LEAD = (
    _ASK
    + """
led=$(ask list-ports | awk -v host="$1" -v port="$2" \
  '$3 == "0.0.0.0" && $4 >= 20000 && $5 == host && $6 == port { print $4; exit }')
[ -z "$led" ] || { echo "$led"; exit; }
for near in $(seq 20000 20099); do
  ! ask add-ports "0.0.0.0:$near:$1:$2/tcp" >/dev/null 2>&1 || { echo "$near"; exit; }
done
exit 1
"""
)
_IS_PUBLISHED = _ASK + "ask list-ports | awk -v port=\"$1\" '$4 == port { print $4; exit }'"
_IS_LISTENING = 'exec 3<>"/dev/tcp/127.0.0.1/$1"'
_INSIDE = "127.0.0.1"
# Of many calls at once, the first one leads the port; the others wait and find it.
_one_at_a_time = threading.Lock()


class NotPublished(Exception):  # noqa: N818 - no error: another way is taken
    """No container publishes the port."""


def expose_published(engine: Engine, port: int) -> int:
    """Let this machine reach a port that a container in a sandbox publishes.

    A connection costs 2 ms then, where a tunnel of its own costs 170 ms.

    Args:
        engine: of the sandbox.
        port: published at 127.0.0.1 or all addresses of the sandbox.

    Returns:
        A port of `engine.reached_at`; see `expose`.

    Raises:
        NotPublished: no container publishes it now.
        CourseError: the sandbox is gone.
    """
    with _one_at_a_time:
        return _published(engine, port)


def expose(engine: Engine, host: str, port: int) -> int:
    """Let this machine reach a port of a container in a sandbox, published or not.

    Args:
        engine: of the sandbox.
        host: the container's address; it may belong to another one later.
        port: where it listens.

    Returns:
        The port of `engine.reached_at` that leads there. While nothing listens behind it,
        connections to it are accepted and closed at once.

    Raises:
        CourseError: the sandbox is gone, or has no port left.
    """
    with _one_at_a_time:
        return _led(engine, host, port)


@cache
def _published(engine: Engine, port: int) -> int:
    if not _finish(engine, _IS_PUBLISHED, str(port))[1].strip():
        raise NotPublished
    return _led(engine, _INSIDE, port)


@cache
def _led(engine: Engine, host: str, port: int) -> int:
    code, said = _finish(engine, _LEAD, host, str(port))
    if code or not said.strip().isdecimal():
        raise CourseError("A port of the sandbox cannot be reached.", why=f"{host}:{port}")
    return int(said)


def is_listening(engine: Engine, port: int) -> bool:
    """Tell whether somebody listens on a port of 127.0.0.1 inside a sandbox.

    Raises:
        CourseError: the sandbox is gone.
    """
    return _finish(engine, _IS_LISTENING, str(port))[0] == 0


def _finish(engine: Engine, script: str, *words: str) -> tuple[int, str]:
    """Run a script to its end, and return its exit code with what it said."""
    said = b""
    with Running(engine, ["bash", "-c", script, "bash", *words]) as running:
        try:
            for _, piece in running.output(_WITHIN_S):
                said += piece
        except OSError as error:
            raise CourseError("The sandbox does not answer.", why=str(error)[:300]) from error
        return running.exit_code(), said.decode(errors="replace")
