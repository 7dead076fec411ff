"""Checks of 24-monitoring: each looks at a running answer from outside, as a user would.

Change them to what your contract asks; `python -m pydoc coursework.checks` shows the words.
The points of a module sum to 10.
"""

import pytest

from coursework.checks import Image, Random, Server, points


@pytest.fixture(scope="session")
def greeting(random: Random) -> str:
    """A text that nobody can type in beforehand."""
    return f"{random.word()} {random.text(4)}"


@pytest.fixture(scope="module")
def server(image: Image, greeting: str) -> Server:
    """A server that was given the text."""
    return image.start(env={"GREETING": greeting})


@points(
    10,
    hints=(
        "Where does the greeting come from, and when does your program read it?",
        "Read the text when the server runs: os.environ['GREETING'].",
    ),
    link="A value from the environment",
)
def check_greets(server: Server, greeting: str) -> None:
    """GET /hello answers the text of GREETING as JSON"""
    server.get("/hello").expect(200, exactly={"message": greeting})
