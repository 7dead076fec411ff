"""What runs: answers that come to something else than they must, and lessons that break."""

import pytest

from coursework.authoring.audit import Subject
from coursework.authoring.audit.leftovers import lesson_objects
from coursework.authoring.audit.lessons import audit_lesson
from coursework.authoring.audit.running import chosen_answers, grade_answers
from coursework.checks.verdict import Report
from coursework.modules.catalogue import load_catalogue
from tests.authoring.conftest import ALPHA, build, edit

pytestmark = pytest.mark.engine
EXERCISE = f"solutions/{ALPHA}/exercise.md"
CHECKS = f"graders/{ALPHA}/checks.py"
RIGHT = f"graders/{ALPHA}/right/plain_socket"
WRONG = f"graders/{ALPHA}/wrong/greets/greeting_typed_in.diff"
ASKED = 'server.get("/hello").expect(200, exactly={"message": greeting})'
SECOND_CHECK = '''

@points(0, hints=("any text",))
def check_answers(server: Server) -> None:
    """GET /hello answers 200"""
    server.get("/hello").expect(200, json={"message": "never this"})
'''
RULES_OF_RUNNING = {
    "try-does-not-reproduce",
    "solution-fails", "blank-passes", "wrong-answer-passes", "wrong-answer-fails-more",
    "right-answer-fails", "junk-passes", "grader-error", "flaky",
    "lesson-cell-fails", "lesson-cell-succeeds", "lesson-leftovers", "lesson-stops",
    "private-output",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _prepared(engine):
    """An engine answers before anything is graded."""


def subject_of(layout):
    return Subject(layout, load_catalogue(layout).find(ALPHA))


def graded(layout, *names, repeat=1, jobs=1):
    """Return rule and file of what is found when these answers are graded."""
    build(layout)
    subject = subject_of(layout)
    chosen = [(subject, answer) for answer in chosen_answers(subject, names)]
    done = grade_answers(chosen, jobs=jobs, repeat=repeat, tell=lambda _: None)
    return sorted((f.rule, f.file) for g in done for f in g.findings())


def test_answers_that_come_to_what_they_must_are_no_findings(clone):
    """Solution and right answer pass, blank and junk do not, the wrong one fails its check."""
    assert graded(clone, "solution", "blank", "wrong", "right", "junk/silence", jobs=2) == []


def test_a_solution_that_fails_is_found(clone):
    """The reference solution does not keep its own contract."""
    edit(clone, EXERCISE, '{"message": os.environ', '{"massage": os.environ')
    assert graded(clone, "solution") == [("solution-fails", EXERCISE)]


def test_checks_that_look_at_nothing_are_found(clone):
    """They pass the blank exercise and junk, and the wrong answer passes."""
    edit(clone, CHECKS, f"    {ASKED}\n", "")
    edit(clone, CHECKS, "check_greets(server: Server, greeting: str)", "check_greets()")
    assert graded(clone, "blank", "wrong", "junk/exits_at_once") == [
        ("blank-passes", EXERCISE),
        ("junk-passes", CHECKS),
        ("wrong-answer-passes", WRONG),
    ]


def test_a_wrong_answer_that_fails_another_check_is_found(clone):
    """A wrong answer proves one check: it must not break a second one."""
    text = (clone.root / CHECKS).read_text("utf-8")
    (clone.root / CHECKS).write_text(text + SECOND_CHECK, "utf-8")
    assert graded(clone, "wrong") == [("wrong-answer-fails-more", WRONG)]


def test_a_right_answer_that_fails_is_found(clone):
    """The checks insist on something, or the answer is not right."""
    edit(clone, f"{RIGHT}/server.py", "200 OK", "201 Created")
    assert graded(clone, "right") == [("right-answer-fails", RIGHT)]


def test_a_check_that_breaks_is_our_error(clone):
    """Whatever the answer, a check that raises is a finding."""
    edit(clone, CHECKS, ASKED, '{}["nothing"]')
    assert graded(clone, "solution") == [("grader-error", EXERCISE)]


def test_a_verdict_that_changes_is_found_by_repeating(clone, tmp_path):
    """Every second run fails: one finding that names seeds and verdicts."""
    turn = tmp_path / "turn"
    edit(clone, CHECKS, ASKED, f'assert __import__("pathlib").Path({str(turn)!r}).exists()')
    build(clone)
    subject = subject_of(clone)
    chosen = [(subject, answer) for answer in chosen_answers(subject, ["right"])]
    done = grade_answers(chosen, jobs=1, repeat=2, tell=lambda _: turn.touch())
    findings = [finding for answer in done for finding in answer.findings()]
    assert [f.rule for f in findings] == ["right-answer-fails", "flaky"]
    assert findings[-1].command == f"course audit {ALPHA} --only right/plain_socket --repeat 2"


def test_a_repeated_wrong_answer_meets_only_its_check_again(clone):
    """The first grading looks at all; what the others would say is known from right answers."""
    text = (clone.root / CHECKS).read_text("utf-8")
    passing = SECOND_CHECK.replace('200, json={"message": "never this"}', "200")
    (clone.root / CHECKS).write_text(text + passing, "utf-8")
    build(clone)
    subject = subject_of(clone)
    chosen = [(subject, answer) for answer in chosen_answers(subject, ["wrong"])]
    (done,) = grade_answers(chosen, jobs=1, repeat=2, tell=lambda _: None)
    reports = [report for report in done.outcomes if isinstance(report, Report)]
    looked_at = [[result.name for result in report.checks] for report in reports]
    assert looked_at == [["greets", "answers"], ["greets"]]
    assert list(done.findings()) == []


def test_an_answer_that_fails_beside_others_is_graded_once_more_alone(clone, tmp_path):
    """Two at a time may disturb each other where time is measured: what counts is seen in calm."""
    calm = tmp_path / "calm"
    edit(clone, CHECKS, ASKED, f'assert __import__("pathlib").Path({str(calm)!r}).exists()')
    build(clone)
    subject = subject_of(clone)
    chosen = [(subject, answer) for answer in chosen_answers(subject, ["solution", "right"])]
    told = []

    def tell(step):
        told.append(step)
        if step.endswith("alone"):
            calm.touch()

    done = list(grade_answers(chosen, jobs=2, repeat=1, tell=tell))
    assert [f.rule for graded in done for f in graded.findings()] == []
    assert f"{ALPHA} solution, once more, alone" in told
    assert all(graded.seconds > 0 for graded in done)


def lesson(layout, engine, *cells):
    """Replace the lesson by these cells; give what is found."""
    head = layout.lesson(ALPHA).read_text("utf-8").split("Begin with something")[0]
    text = "".join(f"```{{code-cell}} python\n{cell}\n```\n\n" for cell in cells)
    layout.lesson(ALPHA).write_text(head + text, "utf-8")
    return audit_lesson(subject_of(layout), engine).findings


def test_a_lesson_is_judged_cell_by_cell(clone, engine):
    """A cell that fails, one that should and does not, and what is left behind: each is told."""
    found = lesson(
        clone,
        engine,
        "1 / 0",
        ":tags: [raises-exception]\n\nprint('fine')",
        ":tags: [raises-exception]\n\nraise ValueError",
        "!docker volume create lantern-left",
    )
    assert [f.rule for f in found] == [
        "lesson-cell-fails",
        "lesson-cell-succeeds",
        "lesson-leftovers",
    ]
    assert "ZeroDivisionError" in found[0].what
    assert "lantern-left" not in {o.name for o in lesson_objects(engine)}


def test_a_line_that_no_shell_understands_is_a_cell_that_fails(clone, engine):
    """IPython says nothing of it; a command that fails is the lesson's own affair."""
    found = lesson(clone, engine, "number = 7\n!for number in 1 2; do echo $number", "!false")
    assert [f.rule for f in found] == ["lesson-cell-fails"]
    assert "syntax error" in found[0].what.lower()


def test_outputs_that_tell_of_this_machine_are_found(clone, engine):
    """They would be published; the folder of the run itself is named as a learner's."""
    host = "https://packages.somebody.org/simple"
    found = lesson(
        clone, engine, f"print('{clone.root}/x')", f"print('{host}'[:40])", "import os\nos.getcwd()"
    )
    assert [f.rule for f in found] == ["private-output"]
    assert str(clone.root) in found[0].what


def test_a_lesson_whose_kernel_ends_is_one_finding(clone, engine):
    """The rest of the audit goes on."""
    (finding,) = lesson(clone, engine, "import os\nos._exit(1)", "print('never')")
    assert finding.rule == "lesson-stops"
    assert finding.file == f"course/{ALPHA}/lesson.md"
