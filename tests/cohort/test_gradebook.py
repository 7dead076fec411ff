"""The gradebook on a real PostgreSQL server, and what becomes of results that it does not take."""

import itertools
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest
from nbgrader.api import Base, Gradebook
from sqlalchemy import make_url

from coursework.cohort.gradebook import COURSE_ID, whole_address, write_gradebook
from coursework.containers.container import Container, Settings
from coursework.containers.runs import open_run
from coursework.images import ensure_images
from coursework.trouble import CourseError
from tests.cohort.test_results import CHECK, REPORT, RESULT

SLUG = RESULT.module
PASSED = replace(CHECK, verdict="passed", points=3)
UNJUDGED = replace(CHECK, name="echoes", verdict="error")
# One that must be quoted in an address.
PASSWORD = f"p@ss/{secrets.token_hex(8)}"
_DATABASES = itertools.count(1)


def result(learner, *checks):
    return replace(RESULT, learner=learner, report=replace(REPORT, checks=checks))


def held(url, learner):
    """Return what a gradebook holds of a learner, in any course: check → points, by hand."""
    with Gradebook(url) as book:
        grades = book.find_submission_notebook("exercise", SLUG, learner).grades
        return {g.name: (g.auto_score, g.manual_score, g.needs_manual_grade) for g in grades}


def counted(url):
    """Return how many rows each table of a gradebook has."""
    with Gradebook(url) as book:
        return {t.name: book.db.query(t).count() for t in Base.metadata.sorted_tables}


@pytest.fixture(scope="module")
def server(engine):
    """Return a PostgreSQL server, as anybody starts one."""
    ensure_images(engine, ["postgres:17"])
    data = "/var/lib/postgresql/data"
    settings = Settings("postgres:17", {"POSTGRES_PASSWORD": PASSWORD}, port=5432, in_memory=[data])
    with open_run("gradebook") as run:
        container = Container(engine, run, f"course-gradebook-{run.run_id}", settings)
        try:
            assert container.start() == ""
            with closing(as_owner(container)):
                yield container
        finally:
            container.removable.remove(force=True, v=True)


def as_owner(container):
    """Connect as soon as the server answers."""
    host, port = container.inside_address() or container.published_address()
    deadline = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(
                host=host, port=port, user="postgres", password=PASSWORD, autocommit=True
            )
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, container.log()
            time.sleep(0.1)


@pytest.fixture
def url(server):
    """Return the address of an empty database, without a driver's name, as a person writes it."""
    name = f"grades_{next(_DATABASES)}"
    with closing(as_owner(server)) as owner:
        owner.execute(f"CREATE DATABASE {name}".encode())
    host, port = server.inside_address() or server.published_address()
    whole = make_url("postgresql://").set(
        username="postgres", password=PASSWORD, host=host, port=port, database=name
    )
    return whole.render_as_string(hide_password=False)


@pytest.mark.engine
def test_results_are_there_and_a_second_writing_changes_nothing(url):
    results = [result("ada", PASSED, UNJUDGED), result("bob", CHECK, UNJUDGED)]
    assert write_gradebook(url, results) == 2
    assert held(url, "ada") == {
        "check-greets": (3, None, False), "check-echoes": (None, None, True)
    }  # fmt: skip
    assert held(url, "bob")["check-greets"] == (0, None, False)
    before = counted(url)
    assert before["submitted_assignment"] == 2
    assert write_gradebook(url, results) == 2
    assert counted(url) == before


@pytest.mark.engine
def test_a_changed_score_is_updated_and_points_by_hand_stay(url):
    write_gradebook(url, [result("ada", CHECK)])
    with Gradebook(url) as book:
        book.find_grade("check-greets", "exercise", SLUG, "ada").manual_score = 2
        book.db.commit()
    write_gradebook(url, [result("ada", PASSED)])
    assert held(url, "ada") == {"check-greets": (3, 2, True)}


@pytest.mark.engine
def test_nbgrader_sums_up_what_was_written(url):
    write_gradebook(url, [result("ada", PASSED), result("bob", CHECK)])
    with Gradebook(url, COURSE_ID) as book:
        assert [a.name for a in book.assignments] == [SLUG]
        assert book.average_assignment_score(SLUG) == 1.5
        scores = {s["student"]: s["score"] for s in book.submission_dicts(SLUG)}
    assert scores == {"ada": 3, "bob": 0}


@pytest.mark.engine
def test_two_writers_at_once_do_no_harm(url):
    # A new gradebook: both would make its tables, the module and the learners.
    start = threading.Barrier(2)
    results = [result(name, PASSED, UNJUDGED) for name in ("ada", "bob", "cy")]

    def write():
        start.wait()
        return write_gradebook(url, results)

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write) for _ in range(2)]
        assert [w.result() for w in writers] == [3, 3]
    rows = counted(url)
    assert (rows["assignment"], rows["student"], rows["submitted_notebook"]) == (1, 3, 3)
    assert rows["grade"] == 6
    with Gradebook(url) as book:
        assert book.db.connection().exec_driver_sql("SELECT * FROM alembic_version").one()


@pytest.mark.engine
def test_a_server_that_does_not_answer_is_told_with_what_to_type(url, server):
    server.signal("SIGSTOP")
    try:
        with pytest.raises(
            CourseError, match="type the command again, with --gradebook URL"
        ) as refused:
            write_gradebook(f"{url}?connect_timeout=2", [RESULT])
    finally:
        server.signal("SIGCONT")
    assert "timeout" in refused.value.why
    assert "results are in their files" in refused.value.why
    assert "connect_timeout=10" in whole_address(url)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"password": "wrong"}, "password authentication failed"),
        ({"database": "nowhere"}, "does not exist"),
        ({"port": 1}, "refused"),
    ],
)
def test_a_wrong_address_is_told_without_its_password(url, change, told):
    wrong = make_url(url).set(**change).render_as_string(hide_password=False)
    with pytest.raises(
        CourseError, match="type the command again, with --gradebook URL"
    ) as refused:
        write_gradebook(wrong, [RESULT])
    assert told in refused.value.why
    assert PASSWORD not in str(refused.value)
    assert "wrong@" not in str(refused.value)


@pytest.mark.parametrize("typed", ["postgres://a@b/c", "postgresql://a@b/c"])
def test_an_address_without_a_driver_gets_the_one_that_is_here(typed):
    assert whole_address(typed).startswith("postgresql+psycopg://a@b/c?")


@pytest.mark.parametrize(
    "typed", ["", "grades.db", "sqlite://", "mysql://a@b/c", "postgresql+asyncpg://a@b/c",
              "postgresql://a@b:port/c"],
)  # fmt: skip
def test_an_address_that_nothing_opens_is_refused_with_one_that_works(typed):
    with pytest.raises(CourseError, match="--gradebook postgresql://"):
        whole_address(typed)


def test_a_file_is_the_same_from_every_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert whole_address("sqlite:///g.db?timeout=60") == f"sqlite:///{tmp_path}/g.db?timeout=60"


def test_a_gradebook_of_nbgrader_s_default_course_is_gone_on_with(tmp_path):
    url = f"sqlite:///{tmp_path / 'gradebook.db'}"
    with Gradebook(url) as book:
        book.add_assignment(SLUG)
    write_gradebook(url, [result("ada", PASSED)])
    write_gradebook(url, [replace(result("ada", PASSED), module="91-new")])
    with Gradebook(url, COURSE_ID) as book:
        assert {a.name: a.course_id for a in book.assignments} == {
            SLUG: "default_course", "91-new": COURSE_ID
        }  # fmt: skip
        assert book.find_submission(SLUG, "ada").score == 3


def test_a_check_that_is_newer_than_the_submission_is_written(tmp_path):
    url = f"sqlite:///{tmp_path / 'gradebook.db'}"
    write_gradebook(url, [result("ada", CHECK)])
    for _ in range(2):
        write_gradebook(url, [result("ada", PASSED, replace(PASSED, name="echoes"))])
    assert held(url, "ada") == {
        "check-greets": (3, None, False), "check-echoes": (3, None, False)
    }  # fmt: skip
