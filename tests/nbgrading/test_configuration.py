"""Stock nbgrader on a course: released, handed in, graded, told, exported."""

import csv
import json
import re
import shutil
from dataclasses import replace

import pytest

from coursework.authoring.derive import derive_exercise
from coursework.cohort.gradebook import default_address, write_gradebook
from coursework.grading.grade import grade
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from tests.cohort.test_results import CHECK, REPORT, RESULT
from tests.learners import left_behind
from tests.nbgrading.conftest import RIGHT, SLUG, Classroom, cell

pytestmark = pytest.mark.engine
LEARNERS = ("ada", "bob", "cy")
POINTS = {"greets": 3, "takes_port": 2, "echoes": 2, "serves_many": 2, "fails_loudly": 1}
HALF_RIGHT = RIGHT.read_text("utf-8").replace('b"hello"', 'b"<b>hi</b>"')


@pytest.fixture(scope="module")
def term(released, engine, tmp_path_factory):
    """Return a classroom after a whole round trip of three learners."""
    root = tmp_path_factory.mktemp("term") / "clone"
    shutil.copytree(released.root, root)
    room = Classroom(root, {"DOCKER_HOST": engine.docker_host})
    room.submit("ada", json.dumps(without_check_cells(room.answered(RIGHT.read_text("utf-8")))))
    half = room.submit("bob", json.dumps(tampered(room, root.parent / "canary")))
    (half.parent / "beside.html").write_text("<script>beside()</script>", "utf-8")
    room.submit("cy", json.dumps(room.answered("")) + "}")
    for command in ("autograde", "generate_feedback"):
        done = room.nbgrader(command, SLUG)
        assert done.returncode == 0, done.stderr
    done = room.nbgrader("export")
    assert done.returncode == 0, done.stderr
    return room


def without_check_cells(notebook):
    """Return a notebook as an editor may leave it: one check cell deleted, the others copied."""
    checks = [c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade")]
    notebook["cells"] = [c for c in notebook["cells"] if c != checks[0]] + checks[1:]
    return notebook


def tampered(room, canary):
    """Return a half right answer that tries to be more."""
    notebook = room.answered(HALF_RIGHT)
    graded = cell(notebook, "check-greets")
    graded["source"] = "3"
    graded["metadata"]["tags"] = ["skip-execution"]
    graded["metadata"]["nbgrader"]["points"] = 99
    graded["outputs"] = [
        {"output_type": "execute_result", "data": {"text/plain": "99"}, "metadata": {},
         "execution_count": 1}
    ]  # fmt: skip
    script = {"text/html": "<script>output()</script>"}
    notebook["cells"] += [
        {"cell_type": "markdown", "metadata": {}, "source": "```\n<script>prose()</script>"},
        {"cell_type": "raw", "metadata": {}, "source": "<script>raw()</script>"},
        {"cell_type": "code", "metadata": {}, "execution_count": None,
         "source": f"open({str(canary)!r}, 'w')",
         "outputs": [{"output_type": "display_data", "data": script, "metadata": {}}]},
    ]  # fmt: skip
    return notebook


def test_release_is_what_course_build_derives(released):
    layout = Layout(released.root)
    derived = json.loads(derive_exercise(layout, SLUG)["exercise.ipynb"])
    wanted = [(c["id"], "".join(c["source"])) for c in derived["cells"]]
    found = [(c["id"], "".join(c["source"])) for c in released.released()["cells"]]
    assert found == wanted
    assert (released.folder / "release" / SLUG / "Dockerfile").is_file()
    assert (
        b"BEGIN SOLUTION"
        not in (released.folder / "release" / SLUG / "exercise.ipynb").read_bytes()
    )


def test_points_are_those_of_course_check(term, engine):
    layout = Layout(term.root)
    module = load_catalogue(layout).find(SLUG)
    answers = {"ada": RIGHT.read_text("utf-8"), "bob": HALF_RIGHT}
    for learner, server in answers.items():
        report = grade(module, {"server.py": server.encode()}, layout=layout, engine=engine)
        had = {check.name: (check.points, False) for check in report.checks}
        assert term.grades(learner) == had
    assert term.grades("ada") == {name: (points, False) for name, points in POINTS.items()}
    assert 0 < sum(points for points, _ in term.grades("bob").values()) < sum(POINTS.values())


def test_a_damaged_notebook_is_a_result(term):
    assert term.grades("cy") == dict.fromkeys(POINTS, (0, False))
    assert "is damaged" in term.feedback("cy")
    assert "course reset" in term.feedback("cy")


def test_feedback_shows_each_check_s_report(term):
    page = term.feedback("bob")
    assert "greets  0 of 3" in page
    assert "GET / answers hello" in page
    assert "&lt;b&gt;hi&lt;/b&gt;" in page
    assert "takes_port  2 of 2" in page
    # An option is in a span that keeps it in one line.
    assert "--only greets" in re.sub("</?span[^>]*>", "", page)
    assert "curl" not in page
    assert str(term.root) not in page


def test_nothing_of_a_learner_runs_or_is_drawn(term):
    assert not (term.root.parent / "canary").exists()
    for text in ("output()", "beside()"):
        assert text not in term.feedback("bob")
    for text in ("prose()", "raw()"):
        assert text in term.feedback("bob")
        assert f"<script>{text}" not in term.feedback("bob")
    for learner in LEARNERS:
        assert [p.name for p in (term.folder / "feedback" / learner / SLUG).iterdir()] == [
            "exercise.html"
        ]


def test_export_holds_every_learner(term):
    with (term.folder / "grades.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert set(rows) == set(LEARNERS)
    assert rows["ada"] == sum(POINTS.values())
    assert rows["cy"] == 0


def test_log_tells_each_verdict(term):
    assert "✓ greets  3 of 3" in term.log
    assert "✗ greets  0 of 3" in term.log


def break_greets(classroom, statement):
    """Let a check of the module do something that no check should."""
    checks = classroom.root / "graders" / SLUG / "checks.py"
    title = '    """GET / answers hello"""'
    text = checks.read_text("utf-8").replace(title, f"{title}\n    {statement}")
    checks.write_text(text, "utf-8")


def test_nothing_is_left_running(term, engine):
    assert term
    assert left_behind(engine) == []


def test_trouble_of_ours_is_neither_points_nor_none(classroom):
    break_greets(classroom, 'int("ours")')
    classroom.submit("ada", json.dumps(classroom.answered(RIGHT.read_text("utf-8"))))
    done = classroom.nbgrader("autograde", SLUG)
    assert done.returncode == 0, done.stderr
    assert classroom.grades("ada")["greets"] == (None, True)
    assert classroom.grades("ada")["takes_port"] == (2, False)
    assert f"nbgrader autograde {SLUG} --student ada --force" in done.stderr


def test_a_grading_process_that_is_lost_takes_nobody_with_it(classroom):
    break_greets(classroom, '__import__("os")._exit(7)')
    classroom.submit("ada", json.dumps(classroom.answered(RIGHT.read_text("utf-8"))))
    classroom.submit("bob", "{")
    done = classroom.nbgrader("autograde", SLUG)
    assert done.returncode == 0, done.stderr
    assert "exit code 7" in done.stderr
    assert set(classroom.grades("ada").values()) == {(None, True)}
    assert set(classroom.grades("bob").values()) == {(0, False)}


def test_a_class_that_was_graded_before_the_release_can_be_autograded(classroom):
    # `course grade` knows the checks alone, and writes them first.
    (classroom.folder / "gradebook.db").unlink()
    checks = tuple(replace(CHECK, name=name, max_points=n) for name, n in POINTS.items())
    before = replace(RESULT, report=replace(REPORT, checks=checks))
    write_gradebook(default_address(classroom.folder), [before, replace(before, learner="bob")])
    done = classroom.nbgrader("generate_assignment", SLUG, "--force")
    assert done.returncode == 0, done.stderr
    classroom.submit("ada", "{")
    assert classroom.nbgrader("autograde", SLUG).returncode == 0
    assert classroom.grades("ada") == dict.fromkeys(POINTS, (0, False))
    assert classroom.grades("bob") == dict.fromkeys(POINTS, (0, False))
    # A check that is gone would take its points along.
    write_gradebook(
        default_address(classroom.folder),
        [replace(before, report=replace(REPORT, checks=(*checks, replace(CHECK, name="gone"))))],
    )
    done = classroom.nbgrader("generate_assignment", SLUG, "--force")
    assert done.returncode != 0
    assert "Cannot add or remove cells" in done.stderr


def test_without_an_engine_nothing_is_graded(classroom):
    classroom.submit("ada", json.dumps(classroom.answered(RIGHT.read_text("utf-8"))))
    done = classroom.nbgrader("autograde", SLUG, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode != 0
    assert "nowhere" in done.stderr
    assert {points for points, _ in classroom.grades("ada").values()} == {None}
    assert not (classroom.folder / "autograded" / "ada" / SLUG).exists()


def test_another_module_s_notebook_is_named(classroom):
    notebook = classroom.answered(RIGHT.read_text("utf-8"))
    notebook["metadata"]["coursework"]["module"] = "01-http"
    classroom.submit("ada", json.dumps(notebook))
    assert classroom.nbgrader("autograde", SLUG).returncode == 0
    assert set(classroom.grades("ada").values()) == {(0, False)}
    text = (classroom.folder / "autograded" / "ada" / SLUG / "exercise.ipynb").read_text("utf-8")
    assert "the notebook answers 01-http, not 90-tiny" in text


def test_formgrader_lists_the_assignment_and_shows_a_submission(term):
    from tests.nbgrading.formgrader import formgrader

    with formgrader(term) as get:
        assert "nbgrader formgrade" in get("/formgrader/manage_assignments")
        listed = json.loads(get("/formgrader/api/assignments"))
        assert (SLUG, 3) in [(a["name"], a["num_submissions"]) for a in listed]
        submissions = json.loads(get(f"/formgrader/api/submitted_notebooks/{SLUG}/exercise"))
        chosen = next(s for s in submissions if s["student"] == "bob")
        page = get(f"/formgrader/submissions/{chosen['id']}/")
        assert "greets  0 of 3" in page
        assert "<script>prose()" not in page


def test_an_export_goes_where_the_command_line_says(term, tmp_path):
    """The classroom's place is the default alone."""
    before = (term.folder / "grades.csv").read_bytes()
    done = term.nbgrader("export", "--to", str(tmp_path / "mine.csv"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine.csv").read_bytes() == before
