"""course solution: our answer beside the learner's; before all checks passed it asks twice."""

import subprocess

import pexpect
import pytest

from coursework.checks.verdict import CheckResult, Report
from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue
from coursework.report.record import save_report
from tests.clone import tiny_clone
from tests.commands.conftest import COURSE, SLUG, save

YOURS = "import os\n\nprint('mine')\n"
TITLE = "do_GET(self)"


@pytest.fixture
def clone(tmp_path):
    """Return a clone whose tiny module was answered, and whose other right answer is small."""
    layout = tiny_clone(tmp_path / "clone", SLUG)
    save(layout, YOURS)
    other = layout.grader(SLUG) / "right" / "other_way"
    other.mkdir(parents=True)
    (other / "server.py").write_text("import other\n", "utf-8")
    return layout


def passed(layout, verdict="passed"):
    """Keep the report of a whole check."""
    first = CheckResult("greets", "it greets", "passed", 3, 3)
    second = CheckResult("echoes", "it echoes", verdict, 7, 7)
    save_report(layout, Report(SLUG, "00000000", 7, (first, second)))


def run(layout, *words):
    """Run the command line without a terminal: exit code, output, errors."""
    done = subprocess.run(
        [COURSE, "solution", *words],
        cwd=layout.root,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def terminal(clone):
    """Return what types the command in a real terminal."""
    opened = []

    def start(*words):
        child = pexpect.spawn(
            str(COURSE), ["solution", *words], cwd=str(clone.root), encoding="utf-8", timeout=60
        )
        opened.append(child)
        return child

    yield start
    for child in opened:
        child.close(force=True)


def test_after_all_passed_it_is_shown_as_a_diff(clone):
    passed(clone)
    code, out, _ = run(clone, "90")
    assert code == 0
    assert "--- yours/server.py" in out
    assert "+++ solution/server.py" in out
    assert "-print('mine')" in out
    assert f"+    def {TITLE}:" in out
    # The starter files are the same, and given ones are nobody's answer.
    assert "Dockerfile" not in out
    assert "greeting.txt" not in out
    assert f"course solution {SLUG} other_way" in out


def test_another_right_answer_is_shown_by_its_name(clone):
    passed(clone)
    out = run(clone, "90", "other_way")[1]
    assert "+import other" in out
    assert TITLE not in out
    assert f"Other right answers: course solution {SLUG} solution" in out


def test_a_name_that_no_right_answer_has_is_told(clone):
    passed(clone)
    code, out, errors = run(clone, "90", "haskell")
    assert (code, out) == (2, "")
    assert "solution, other_way" in errors


@pytest.mark.parametrize("verdict", ["failed", "skipped", "error", None])
def test_before_that_nothing_is_shown_where_nobody_can_be_asked(clone, verdict):
    """Without a terminal it is refused, and the message says how to insist."""
    if verdict:
        passed(clone, verdict)
    code, out, errors = run(clone, "90")
    assert (code, out) == (2, "")
    assert f"course solution {SLUG} --yes" in errors
    assert TITLE in run(clone, "90", "--yes")[1]


def test_in_a_terminal_it_asks_twice(clone, terminal):
    """Both answers must be yes; the hint of the check that failed is offered first."""
    passed(clone, "failed")
    child = terminal("90")
    child.expect_exact(f"course hint {SLUG} echoes")
    child.expect_exact("[y/N]")
    child.sendline("y")
    child.expect_exact("Really show it? [y/N]")
    child.sendline("y")
    child.expect_exact(TITLE)
    child.expect(pexpect.EOF)


@pytest.mark.parametrize("answers", [["n"], [""], ["y", "n"], ["y", ""]])
def test_one_no_is_enough(clone, terminal, answers):
    passed(clone, "failed")
    child = terminal("90")
    for answer in answers:
        child.expect_exact("[y/N]")
        child.sendline(answer)
    child.expect(pexpect.EOF)
    assert TITLE not in child.before


def test_ctrl_c_at_a_question_shows_nothing(terminal):
    child = terminal("90")
    child.expect_exact("[y/N]")
    child.sendintr()
    child.expect(pexpect.EOF)
    assert TITLE not in child.before
    child.close()
    assert child.exitstatus == 130


def test_the_learners_files_stay_as_they_are(clone):
    """Contents and times."""
    folder = clone.work(SLUG)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*")}
    run(clone, "90", "--yes")
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*")} == before


def test_an_answer_in_a_folder_is_compared_with_what_is_in_it(clone, tmp_path):
    """A file that only the learner has is named, not shown as taken away."""
    folder = tmp_path / "mine"
    (folder / "lib").mkdir(parents=True)
    (folder / "server.py").write_text("serve()\n", "utf-8")
    (folder / "lib" / "more.py").write_text("secret_of_mine()\n", "utf-8")
    code, out, _ = run(clone, str(folder), "--module", "90", "--yes")
    assert code == 0
    assert "-serve()" in out
    assert "only yours: lib/more.py" in out
    assert "secret_of_mine" not in out


def test_the_reference_itself_differs_in_nothing(clone, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, data in _reference(clone).items():
        (folder / name).write_bytes(data)
    assert "letter by letter" in run(clone, str(folder), "--module", "90", "--yes")[1]


def _reference(clone):
    from coursework.authoring.mistakes import Solution

    return Solution(clone, SLUG).files


@pytest.mark.parametrize("module", load_catalogue(find_layout()).modules, ids=lambda m: m.slug)
def test_every_module_has_a_solution_to_show(module, tmp_path):
    """Also those whose checks run in a sandbox or a cluster, and those answered in folders."""
    (tmp_path / "mine.txt").write_text("mine\n", "utf-8")
    code, out, errors = run(find_layout(), str(tmp_path), "--module", module.slug, "--yes")
    assert code == 0, errors
    assert "+++ solution/" in out
    assert "Other right answers: " in out
