"""A way to a port inside a sandbox for many connections: one program leads them all on."""

import weakref
from pathlib import Path

from coursework.checks.programs import control
from coursework.containers.execution import STDOUT
from coursework.engine import Engine
from coursework.sandbox.inside import Running
from coursework.trouble import CourseError

_PROGRAM = Path(control.__file__).with_name("door.pl").read_text("ascii")
_OPENS_WITHIN_S = 20.0


class Door:
    """A port of a sandbox that leads to one of its 127.0.0.1, for as long as somebody holds it.

    Each connection costs a tenth of what a tunnel costs. Where nobody listens behind it, the
    connection is reset.

    Args:
        engine: of the sandbox.
        port: where the answer's server is published, inside.

    Raises:
        CourseError: the sandbox does not answer.

    Example:
        >>> socket.create_connection(Door(engine, 8080).address)

    """

    def __init__(self, engine: Engine, port: int) -> None:
        running = Running(engine, ["perl", "-e", _PROGRAM, str(port)])
        # The program ends when its input does.
        weakref.finalize(self, running.close)
        said = b""
        try:
            for kind, piece in running.output(_OPENS_WITHIN_S):
                said += piece
                if kind == STDOUT and said.endswith(b"\n"):
                    break
            self.address = (engine.reached_at, int(said))
        except (OSError, ValueError) as error:
            raise CourseError(
                "The sandbox opens no port for the checks.",
                why=said.decode(errors="replace")[-300:] or str(error),
                fix="check again",
            ) from error
