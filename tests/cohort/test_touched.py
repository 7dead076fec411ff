"""What grades a module is compared with a commit's: words and comments of it are no change."""

import shutil
import subprocess

import pytest

from coursework.cohort.touched import changed_since
from coursework.modules.catalogue import load_catalogue
from coursework.trouble import CourseError
from tests.clone import ROOT, tiny_clone

SLUG = "90-touched"
ENGINE = "src/coursework"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Return a clone in git, with the tiny module and the engine's checks."""
    root = tmp_path_factory.mktemp("touched") / "clone"
    layout = tiny_clone(root, SLUG)
    for room in ("checks", "grading", "submissions"):
        shutil.copytree(ROOT / ENGINE / room, root / ENGINE / room)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "then")
    return layout


@pytest.fixture
def clone(repository):
    """Return the clone; what a test changes in it is put back."""
    yield repository
    git(repository.root, "checkout", "--quiet", "--force", "HEAD")
    git(repository.root, "clean", "--quiet", "--force", "-d")


def git(root, *words):
    """Run git in a folder."""
    subprocess.run(["git", "-C", root, *words], check=True)


def touched(layout):
    """Return what differs from the last commit."""
    return changed_since(layout, load_catalogue(layout).find(SLUG), "HEAD").names


def edit(path, old, new):
    """Change a file, which must hold what is replaced."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_what_a_verdict_depends_on_is_named(clone):
    assert touched(clone) == []
    edit(clone.grader(SLUG) / "checks.py", 'body="hello"', 'body="hallo"')
    (clone.given(SLUG) / "greeting.txt").write_text("hallo")
    for name in ("checks/reply.py", "submissions/cells.py"):
        with (clone.root / ENGINE / name).open("a") as file:
            file.write("\nNEW = 1\n")
    assert set(touched(clone)) == {
        "checks.py", "given/", "checks/reply.py", "submissions/cells.py"
    }  # fmt: skip


def test_what_the_catalogue_says_of_the_module_then_is_compared(clone):
    """Another kind of engine judges otherwise, though no file of the module's has changed."""
    with clone.catalogue.open("a") as file:
        file.write("sandbox = true\n")
    assert touched(clone) == ["sandbox"]


def test_programs_beside_an_answer_count_where_one_of_them_may_be_started(clone):
    with (clone.root / ENGINE / "checks/programs/stub.py").open("a") as file:
        file.write("\nNEW = 1\n")
    assert touched(clone) == []
    checks = clone.grader(SLUG) / "checks.py"
    edit(checks, "def check_greets(", "def check_greets(stub, ")
    assert {"checks/stub.py", "checks/programs/stub.py"} <= set(touched(clone))


def test_words_comments_and_words_of_other_modules_are_no_change(clone):
    checks = clone.grader(SLUG) / "checks.py"
    edit(checks, "Compare the body byte by byte.", "Look at each byte.")
    edit(checks, "GET / answers hello", "GET / says hello")
    checks.write_text(f"# A comment.\n{checks.read_text('utf-8')}", "utf-8")
    edit(clone.root / ENGINE / "checks/postgres.py", "_PORT = 5432", "_PORT = 5433")
    (clone.root / "README.md").write_text("new")
    assert touched(clone) == []


def test_a_module_that_was_not_there_is_new_altogether(clone):
    (clone.grader(SLUG)).rename(clone.grader("91-new"))
    (clone.root / "solutions" / SLUG).rename(clone.root / "solutions" / "91-new")
    edit(clone.catalogue, SLUG, "91-new")
    module = load_catalogue(clone).find("91-new")
    assert "checks.py" in changed_since(clone, module, "HEAD").names


def test_the_mark_changes_with_what_grades(clone):
    module = load_catalogue(clone).find(SLUG)
    before = changed_since(clone, module, "HEAD").mark
    assert changed_since(clone, module, "HEAD").mark == before
    edit(clone.grader(SLUG) / "checks.py", 'body="hello"', 'body="hallo"')
    assert changed_since(clone, module, "HEAD").mark != before


@pytest.mark.parametrize("commit", ["v9.9", "--all", "HEAD:graders", "", "$(id)"])
def test_an_unknown_commit_is_told(clone, commit):
    with pytest.raises(CourseError, match="There is no commit") as refused:
        changed_since(clone, load_catalogue(clone).find(SLUG), commit)
    assert "git log" in refused.value.fix


def test_a_folder_without_git_is_told(tmp_path):
    layout = tiny_clone(tmp_path / "clone", SLUG)
    with pytest.raises(CourseError, match="There is no commit") as refused:
        changed_since(layout, load_catalogue(layout).find(SLUG), "HEAD")
    assert "not a git repository" in refused.value.why
