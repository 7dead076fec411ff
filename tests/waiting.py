"""Waiting for what happens in its own time."""

import time


def wait_until(holds, *, within_s=30):
    """Wait for a condition, and fail where it does not come to hold."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"it does not come to hold in {within_s} s"
        time.sleep(0.1)
