"""Processes are read from /proc, whatever they are called."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from coursework.engine import processes


def test_a_process_whose_name_is_no_text_is_read_like_another(tmp_path: Path) -> None:
    """Any container on the machine may have one."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("this machine has no /proc")
    program = tmp_path / os.fsdecode(b"\xff) \xfe")
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as started:
        try:
            assert processes.is_running(started.pid)
            assert started.pid in processes.children(os.getpid())
            assert processes.processor_seconds_together(Path(f"/proc/{started.pid}")) is not None
        finally:
            started.kill()
