"""Ends at once with an error, and says nothing."""  # noqa: INP001 - runs in its own container

import sys

sys.exit(1)
