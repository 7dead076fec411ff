"""The vocabulary of checks: everything that an author of graders/NN-slug/checks.py may use.

A check is a function `check_<what_must_hold>` with `@points`; its docstring is the learner's title.
It asks for fixtures by name:

- `image`: the submission's `Image`, built once for all checks;
- `server`: a `Server` started from it; define a fixture of this name to give it variables or files;
- `submission`: the `Submission`, its files by path;
- `random`: `Random` values, new in each run.

Fixtures of module scope that start containers are started side by side before the first check.
"""

from coursework.checks.failure import Failure, fail
from coursework.checks.load import Crowd, at_once
from coursework.checks.points import points
from coursework.checks.randomness import Random
from coursework.checks.reply import Headers, Reply
from coursework.checks.server import Finished, Image, Server
from coursework.checks.wire import Connection
from coursework.submission import Submission

__all__ = [
    "Connection",
    "Crowd",
    "Failure",
    "Finished",
    "Headers",
    "Image",
    "Random",
    "Reply",
    "Server",
    "Submission",
    "at_once",
    "fail",
    "points",
]
