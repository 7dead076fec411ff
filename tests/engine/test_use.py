"""An engine is in use while a process that found it runs."""

import subprocess
import sys
from pathlib import Path

from coursework.engine import use


def test_it_is_used_until_let_go(tmp_path: Path) -> None:
    """A process counts from the moment it holds an engine until it lets go."""
    assert not use.is_used(tmp_path)
    use.hold(tmp_path)
    use.hold(tmp_path)
    assert use.is_used(tmp_path)
    use.let_go(tmp_path)
    assert not use.is_used(tmp_path)


def test_a_process_that_ended_uses_nothing(tmp_path: Path) -> None:
    """A process that was killed needs no cleaning up."""
    statement = "import sys, pathlib; from coursework.engine import use"
    holding = f"{statement}; use.hold(pathlib.Path({str(tmp_path)!r})); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert use.is_used(tmp_path)
        other.kill()
    assert not use.is_used(tmp_path)
