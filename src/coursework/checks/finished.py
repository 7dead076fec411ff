"""How a program of the answer ended."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finished:
    """A program that has ended by itself.

    Args:
        exit_code: of its main process.
        output: the bytes of its standard output; of a container, its last 200 lines.
        stderr: the end of its standard error.
        container_name: of its container, where it had one to itself.
    """

    exit_code: int
    output: bytes
    stderr: str
    container_name: str = ""

    @property
    def stdout(self) -> str:
        """Its standard output as text."""
        return self.output.decode(errors="replace")

    def log(self) -> str:
        """Both outputs, for the report."""
        return self.stdout + self.stderr

    def end_check(self, *, passed: bool) -> None:
        """It has ended already: nothing is to be made ready."""
