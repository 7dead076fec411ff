"""course wrong: a mistake is laid out, edited, saved, listed and kept fresh."""

import pytest

from coursework.authoring.mistakes import Solution, find_mistakes
from tests.authoring.conftest import ALPHA, clone, edit, laid_out
from tests.commands.test_authoring import run

__all__ = ["clone", "laid_out"]
EXERCISE = f"solutions/{ALPHA}/exercise.md"
MISTAKE = f"graders/{ALPHA}/wrong/greets/greeting_typed_in.diff"


def mend(folder, old, new):
    path = folder / "server.py"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_a_new_mistake_is_two_commands_and_an_edit(clone, tmp_path):
    """The solution is laid out, one line is changed, and the diff holds that line alone."""
    folder = tmp_path / "mistake"
    code, out, _ = run(clone, "wrong", "10", "greets/says_created", "--into", str(folder))
    assert (code, sorted(p.name for p in folder.iterdir())) == (0, ["Dockerfile", "server.py"])
    assert f"--save {folder} --why" in out
    mend(folder, "send_response(200)", "send_response(201)")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "server.pyc").write_bytes(b"\0")
    why = "It says Created where nothing was."
    save = ("wrong", "10", "wrong/greets/says_created.diff", "--save", str(folder))
    code, _, errors = run(clone, *save)
    assert (code, "No sentence names the mistake" in errors) == (2, True)
    code, out, errors = run(clone, *save, "--why", why)
    assert code == 0, errors
    assert out.splitlines() == [
        f"✓ graders/{ALPHA}/wrong/greets/says_created.diff changes server.py",
        f"Next: course audit {ALPHA} --only wrong/greets/says_created",
    ]
    text = (clone.root / f"graders/{ALPHA}/wrong/greets/says_created.diff").read_text("utf-8")
    lines = text.splitlines()
    assert lines[:2] == [why, "diff --git a/server.py b/server.py"]
    assert [x.strip() for x in lines[4:] if x[0] in "+-"] == [
        "-        self.send_response(200)", "+        self.send_response(201)",
    ]  # fmt: skip
    assert f"greets/says_created\n    {why}\n" in run(clone, "wrong", "10")[1]


def test_a_mistake_is_edited_and_keeps_its_sentence(clone, tmp_path):
    """What is laid out has the mistake in it; saved without --why, the sentence stays."""
    folder = tmp_path / "mistake"
    name = "greets/greeting_typed_in"
    assert run(clone, "wrong", "10", name, "--into", str(folder))[0] == 0
    mend(folder, '"message": "hello"', '"message": "hi"')
    assert run(clone, "wrong", "10", name, "--save", str(folder))[0] == 0
    text = (clone.root / MISTAKE).read_text("utf-8")
    assert text.startswith("The greeting is hard-coded.\ndiff --git ")
    assert '+        body = json.dumps({"message": "hi"}).encode()\n' in text


def test_moved_lines_are_refreshed_and_a_stale_diff_is_told(clone, tmp_path):
    """Line numbers are brought up to date; what no longer applies is named, and exit is 1."""
    old = (clone.root / MISTAKE).read_text("utf-8")
    assert run(clone, "wrong", "10", "--refresh")[:2] == (
        0, "1 as they were, 0 rewritten, 0 to mend by hand\n",
    )  # fmt: skip
    edit(clone, EXERCISE, "import signal\n", "import signal\nimport socket\n")
    code, out, _ = run(clone, "wrong", "10", "--refresh")
    assert (code, out.splitlines()[0]) == (0, f"✓ {MISTAKE} rewritten")
    assert (clone.root / MISTAKE).read_text("utf-8") == old.replace("-12,7 +12,7", "-13,7 +13,7")
    edit(
        clone,
        EXERCISE,
        "            self.send_error(404)\n            return\n",
        "            return\n",
    )
    code, out, _ = run(clone, "wrong", "10", "--refresh")
    assert (code, f"✗ {MISTAKE}: The diff no longer applies." in out) == (1, True)
    folder = tmp_path / "mistake"
    code, out, _ = run(clone, "wrong", "10", "greets/greeting_typed_in", "--into", str(folder))
    assert (code, "by hand: server.py.rej" in out) == (0, True)
    mend(folder, 'os.environ["GREETING"]', '"hello"')
    save = ("wrong", "10", "greets/greeting_typed_in", "--save", str(folder))
    assert run(clone, *save)[0] == 0
    (mistake,) = find_mistakes(Solution(clone, ALPHA))
    assert sorted(mistake.folder) == ["Dockerfile", "server.py"]


def test_what_changes_nothing_is_refused(clone, tmp_path):
    """The solution is no wrong answer, nor is a starter file that is laid again."""
    folder = tmp_path / "mistake"
    run(clone, "wrong", "10", "greets/nothing", "--into", str(folder))
    (folder / "Dockerfile").unlink()
    save = ("wrong", "10", "greets/nothing", "--save", str(folder), "--why", "Nothing.")
    code, _, errors = run(clone, *save)
    assert (code, "changes nothing" in errors) == (2, True)
    assert not (clone.root / f"graders/{ALPHA}/wrong/greets/nothing.diff").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["greets/none", "--refresh"], "has no mistake greets/none"),
        (["greets/../x", "--into", "new"], "names no mistake"),
        (["greets", "--into", "new"], "names no mistake"),
        (["greets/x", "--into", "graders"], "graders is there already"),
        (["greets/x", "--save", "none", "--why", "x"], "none is no folder"),
        (["greets/x", "--into", "a", "--save", "b"], "exclude each other"),
        (["--into", "new"], "name the mistake"),
        (["greets/x", "--into", "new", "--why", "x"], "--why belongs to --save"),
    ],
)
def test_what_cannot_be_done_is_said(clone, words, message):
    """Exit code 2 and one sentence; nothing is written."""
    code, _, errors = run(clone, "wrong", "10", *words)
    assert (code, message in errors) == (2, True), errors
    assert not (clone.root / "new").exists()


def test_a_folder_of_files_is_left_alone(clone):
    """A wrong answer that is another program has no diff."""
    folder = clone.root / f"graders/{ALPHA}/wrong/greets/other"
    folder.mkdir()
    (folder / "server.py").write_text("", "utf-8")
    code, _, errors = run(clone, "wrong", "10", "greets/other", "--into", "new")
    assert (code, "greets/other is a folder of files, not a diff" in errors) == (2, True)
