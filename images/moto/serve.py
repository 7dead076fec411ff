"""Serve moto, with the kinds of resources in additions/."""

import logging

from additions import messages, rights, spelling  # noqa: F401 - moto finds what they hold
from moto.cloudformation import parsing  # noqa: F401 - loaded now, not with the first stack
from moto.server import main

# What is left of the log is what went wrong.
logging.getLogger("werkzeug").setLevel(logging.ERROR)
main(["--host", "0.0.0.0", "--port", "5000"])
