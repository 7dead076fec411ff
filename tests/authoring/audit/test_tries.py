"""The command of each failure is typed, and shows what the report says was seen."""

import pytest

from coursework.authoring.audit.answers import Answer
from coursework.authoring.audit.running import Graded, Task, Tried, grade_task
from coursework.authoring.audit.subject import Subject
from coursework.authoring.audit.tries import Typed, not_shown
from coursework.containers.cleaning import clean
from coursework.images import ensure_images
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from tests.clone import own, tiny_clone
from tests.grading.test_grade import answer

SLUG = own("90-tries")
# Each answer of tests/grading/cases that fails, with the check that it fails first.
CASES = {
    "broken_dockerfile": "greets", "dies_of_a_post": "echoes", "exits_at_once": "greets",
    "failing_step": "greets", "hangs_up": "greets", "loopback_only": "greets",
    "no_server": "greets", "no_such_program": "greets", "not_http": "greets",
    "other_body": "greets", "silent": "greets", "typed_in_port": "takes_port",
}  # fmt: skip


@pytest.mark.parametrize(
    ("saw", "output"),
    [
        ("404 · text/html · not found", "HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\nnope"),
        ("connection refused; service web has no ready endpoint", "curl: (7) Failed to connect"),
        ("the connection was closed without a byte", "curl: (52) Empty reply from server"),
        ("it ended with exit code 3", "no port\nexit code 3\n"),
        ("the connection was closed without a byte; it ended with exit code 3", "exit code 3\n"),
        ("it listens on 0.0.0.0:3000, not on port 4000", "tcp 0 0 0.0.0.0:3000 0.0.0.0:* LISTEN"),
        ("it listens on 127.0.0.1:3000 only, where nobody gets", "tcp 0 0 127.0.0.1:3000 LISTEN"),
        ("no HTTP (peer closed), after 17 bytes: b'SSH'", "curl: (1) Received HTTP/0.9 when not"),
        (
            "103 statements; 99 times: SELECT name FROM users WHERE id = 1",
            "HTTP/1.1 200 OK\nLOG: SELECT name FROM users WHERE id = 1",
        ),
        ("it still runs", "CONTAINER ID   STATUS\n1   Up 5 seconds   x"),
        ("200 and the file outside", "HTTP/1.1 200 OK\r\n\r\nfrom outside"),
        ("$sha256$SjQyXk0iVW8fuO94uRFf5w: no salt at all", "$sha256$SjQyXk0iVW8fuO94uRFf5w\n"),
        ("the label version=1 · '2'", '[{"version": "2", "label": 1}]'),
    ],
)
def test_what_was_seen_is_recognised(saw, output):
    assert not_shown(saw, Typed(output)) == ""


def test_what_looks_into_a_store_names_its_subject_itself():
    """Psql prints t or f; which table that is about is in the command."""
    looks = "docker exec database psql -c \"SELECT to_regclass('seats') IS NOT NULL AS found\""
    assert not_shown("there is no table seats", Typed(" found \n f\n"), looks) == ""
    assert not_shown("there is no table shows", Typed(" found \n f\n"), looks) != ""
    assert not_shown("there is no table seats", Typed(""), looks) != ""


def test_a_command_that_waits_for_an_answer_is_ended():
    """It shows that none comes; one that ends by itself does not."""
    assert not_shown("nothing in 5 s", Typed("", was_ended=True)) == ""
    assert not_shown("nothing in 5 s", Typed("HTTP/1.1 200 OK\n")) != ""


@pytest.mark.parametrize(
    ("saw", "output", "what"),
    [
        (
            "404 · text/html · not found",
            "HTTP/1.1 200\nhi",
            "no status 404, but 'HTTP/1.1 200\\nhi'",
        ),
        ("it ended with exit code 3", "Error: No such container: x", "No such container"),
        ("the file /app/a.js was read", "hello", "none of it, but 'hello'"),
    ],
)
def test_what_was_not_seen_is_told(saw, output, what):
    assert not_shown(saw, Typed(output)) == what


@pytest.fixture(scope="module")
def graded(engine, tmp_path_factory):
    """Return a function that grades a wrong answer to a tiny module, as the audit does."""
    ensure_images(engine, ["python:3.13-slim", "busybox:1.37"])
    layout: Layout = tiny_clone(tmp_path_factory.mktemp("tries") / "clone", SLUG)
    module = load_catalogue(layout).find(SLUG)

    def grade(case):
        wrong = Answer(f"wrong/{CASES[case]}/{case}", answer(case), layout.grader(SLUG))
        outcome = grade_task(Task(layout, module, wrong, 7, types=True))
        return Graded(Subject(layout, module), wrong, (outcome,))

    yield grade
    clean(engine.client, SLUG, everywhere=True)


@pytest.mark.engine
@pytest.mark.parametrize("case", CASES)
def test_each_wrong_answers_command_shows_what_was_seen(graded, case):
    (outcome,) = graded(case).outcomes
    assert isinstance(outcome, Tried)
    assert outcome.not_shown == ""
    failed = {check.name for check in outcome.checks if check.verdict == "failed"}
    assert CASES[case] in failed


@pytest.mark.engine
def test_one_that_shows_something_else_is_a_finding(graded, monkeypatch):
    """With what was seen, the command and what it shows."""
    monkeypatch.setattr("coursework.checks.server.curl_command", lambda *_: "echo all is well")
    found = [f for f in graded("other_body").findings() if f.rule == "try-does-not-reproduce"]
    assert len(found) == 1
    assert "echo all is well shows no status" in found[0].what
