"""`check` in a real kernel: it finds its module, checks what was written, and shows the report."""

import json
import time

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from coursework.containers.cleaning import clean
from coursework.images import ensure_images
from coursework.layout import find_layout
from tests.clone import own, tiny_clone
from tests.grading.test_grade import CASES

pytestmark = pytest.mark.engine
SLUG = own("90-kernel")
RIGHT = (CASES / "right" / "server.py").read_text("utf-8")
WRITE = f"%%writefile server.py\n{RIGHT}"
IMPORT = "from coursework.notebook import check, hint"


@pytest.fixture
def folder(engine, tmp_path, monkeypatch):
    """Return a module's work folder in a clone; kernels started here reach the engine."""
    layout = tiny_clone(tmp_path / "clone", SLUG)
    # The images are those of the real clone, which the engine has.
    ensure_images(engine, ["python:3.13-slim"])
    (layout.root / "images").symlink_to(find_layout().root / "images")
    layout.work(SLUG).mkdir(parents=True)
    monkeypatch.setenv("DOCKER_HOST", engine.docker_host)
    yield layout.work(SLUG)
    # No later check would: the next test's clone is another one.
    clean(engine.client, SLUG, everywhere=True)


def run(folder, *cells, saved=None):
    """Run cells in a fresh kernel beside a saved notebook; give each cell's HTML."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
    kept = notebook if saved is None else new_notebook(cells=[new_code_cell(s) for s in saved])
    kept.metadata["coursework"] = {"module": SLUG}
    nbformat.write(kept, folder / "exercise.ipynb")
    NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}, timeout=120).execute()
    return [
        "".join(o["data"].get("text/html", "") for o in cell.outputs if "data" in o)
        for cell in notebook.cells
    ]


def test_one_check_shows_its_result(folder):
    """check("greets") runs this check alone."""
    shown = run(folder, IMPORT, WRITE, 'check("greets")')[-1]
    assert "✓ greets  3 of 3" in shown
    assert "takes_port" not in shown
    assert "3 of 3 points" in shown


def test_all_checks_show_what_was_seen(folder):
    """check() runs all; a failure reads as five lines, escaped."""
    wrong = WRITE.replace('b"hello"', 'b"<script>hell</script>"')
    shown = run(folder, IMPORT, wrong, "check()")[-1]
    assert "✗ greets  0 of 3" in shown
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown
    assert "curl -i http://localhost:" in shown


def test_what_was_run_but_not_saved_is_checked_with_a_warning(folder):
    """The cell just run counts; the report says that the saved notebook differs."""
    old = WRITE.replace('b"hello"', 'b"old"')
    shown = run(folder, IMPORT, WRITE, 'check("greets")', saved=[IMPORT, old])[-1]
    assert "✓ greets" in shown
    assert "server.py on disk differs from its cell in the saved notebook" in shown


def saving(*sources):
    """Return a cell's text that saves the notebook with these cells, as an editor does."""
    content = new_notebook(cells=[new_code_cell(source) for source in sources])
    content.metadata["coursework"] = {"module": SLUG}
    text = nbformat.writes(content)
    return f"with open('exercise.ipynb', 'w') as file:\n    _ = file.write({text!r})"


def test_run_and_not_saved_is_said(folder):
    """It names what to press."""
    old = WRITE.replace('b"hello"', 'b"old"')
    shown = run(folder, WRITE, 'check("greets")', saved=[old])[-1]
    assert "you ran the cell and did not save" in shown
    assert "Ctrl-S" in shown


def test_changed_and_saved_and_not_run_is_said(folder):
    """The older text is what was checked; the message says to run the cell."""
    new = WRITE.replace('b"hello"', 'b"new"')
    shown = run(folder, WRITE, saving(new), 'check("greets")')[-1]
    assert "✓ greets" in shown
    assert "the cell was changed after you ran it" in shown
    assert "Ctrl-S" not in shown


def test_a_file_that_was_changed_outside_of_its_cell_is_said(folder):
    """Whether the notebook was saved afterwards or not."""
    edit = "with open('server.py', 'a') as file:\n    _ = file.write('# by hand\\n')"
    for cells in ((WRITE, edit), (WRITE, edit, saving(WRITE))):
        shown = run(folder, *cells, 'check("greets")')[-1]
        assert "something else than the cell wrote the file" in shown


def test_a_cell_that_was_deleted_is_said(folder):
    """Its file is still on the disk, and nobody hands it in."""
    notes = "%%writefile notes.txt\nold"
    shown = run(folder, WRITE, notes, saving(WRITE), 'check("greets")')[-1]
    assert "notes.txt on disk" in shown
    assert "no saved cell writes it any more" in shown


def test_after_a_restart_check_is_known_and_says_what_it_checked(folder):
    """No cell ran in this kernel, not even the import."""
    run(folder, WRITE)
    shown = run(folder, 'check("greets")', saved=[WRITE])[-1]
    assert "✓ greets" in shown
    assert "⚠" not in shown
    changed = WRITE.replace('b"hello"', 'b"new"')
    shown = run(folder, 'check("greets")', saved=[changed])[-1]
    assert "the cell did not run in this kernel" in shown


def test_a_renamed_notebook_is_found_by_what_it_says_it_is(folder):
    """Renamed while the kernel runs, or before it began."""
    rename = "import pathlib; _ = pathlib.Path('exercise.ipynb').rename('my box office.ipynb')"
    shown = run(folder, WRITE, rename, 'check("greets")')[-1]
    assert "✓ greets" in shown


def test_all_unsaved_files_are_named_in_one_line(folder):
    """Two files that the saved notebook lacks make one warning."""
    other = "%%writefile notes.txt\nsecond thoughts"
    shown = run(folder, IMPORT, WRITE, other, 'check("greets")', saved=[IMPORT])[-1]
    assert "server.py, notes.txt on disk differ from their cells" in shown
    assert shown.count("⚠") == 1


def test_a_cell_that_was_not_run_is_named(folder):
    """Forgetting to run the cell is said, before anything else is guessed."""
    shown = run(folder, IMPORT, 'check("greets")', saved=[IMPORT, WRITE])[-1]
    assert "The cell of server.py was not run yet" in shown


def test_one_check_that_passed_does_not_ask_for_other_cells(folder):
    """The whole report does, in one line."""
    more = ["%%writefile a.txt\na", "%%writefile b.txt\nb"]
    saved = [IMPORT, WRITE, *more]
    one, whole = run(folder, IMPORT, WRITE, 'check("greets")', "check()", saved=saved)[-2:]
    assert "not run yet" not in one
    assert "The cells of a.txt, b.txt were not run yet: run them to write the files." in whole
    assert whole.count("⚠") == 1


def test_a_name_that_no_check_has_is_answered_with_the_names(folder):
    """A typing mistake is a message in the notebook, not a traceback."""
    shown = run(folder, IMPORT, WRITE, 'check("greet")')[-1]
    assert "no check named greet" in shown
    assert "takes_port" in shown


def test_a_damaged_notebook_is_a_message(folder):
    """A notebook that cannot be read is said below the cell."""
    damage = "open('exercise.ipynb', 'w').write('{')"
    shown = run(folder, IMPORT, WRITE, damage, 'check("greets")')[-1]
    assert "is damaged" in shown


def test_the_kernel_is_left_as_it_was(folder):
    """A check changes neither the working folder, nor sys.path, nor the random generator."""
    look = "import os, random, sys; random.seed(1); before = (os.getcwd(), list(sys.path))"
    compare = (
        "assert before == (os.getcwd(), list(sys.path)); "
        "first = random.random(); random.seed(1); assert first == random.random()"
    )
    run(folder, IMPORT, WRITE, look, 'check("greets")', compare)


def test_the_last_whole_report_is_kept(folder):
    """check() leaves its report for the list of modules."""
    run(folder, IMPORT, WRITE, "check()")
    report = folder.parents[1] / ".course" / "reports" / f"{SLUG}.json"
    assert json.loads(report.read_text("utf-8"))["points"] == 10


def test_an_interrupt_leaves_nothing_behind(folder, engine):
    """The stop button in the middle of a check removes what the check had started."""
    slow = WRITE.replace("port = int", "import time; time.sleep(60)\nport = int")
    press = (
        "import os, signal, threading; "
        "threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()"
    )
    started = time.monotonic()
    shown = run(folder, IMPORT, slow, press, "check()")[-1]
    assert "stopped" in shown
    assert time.monotonic() - started < 30
    names = [c.name for c in engine.client.containers.list(all=True, ignore_removed=True)]
    assert not any(n.startswith(SLUG) for n in names)


def test_hint_shows_both_hints_and_the_section(folder):
    """hint("greets") shows where to look, nearly the code, and the lesson's section."""
    shown = run(folder, IMPORT, 'hint("greets")')[-1]
    assert "Compare the body byte by byte." in shown
    assert "The greeting ends without a newline." in shown
    assert "“Greeting”" in shown


def test_hint_without_a_name_says_which_failed_last(folder):
    """Before any check it lists them all; either way it says what to type."""
    wrong = WRITE.replace('b"hello"', 'b"old"')
    first, *_, later = run(folder, "hint()", wrong, "check()", "hint()")
    assert "its checks: greets, takes_port, echoes" in first
    assert "failed last: greets" in later
    assert "hint(&quot;greets&quot;)" in later


def test_hint_names_the_checks_where_there_is_no_such_one(folder):
    """A wrong name is told with the right ones, and nothing of it is run as HTML."""
    shown = run(folder, IMPORT, 'hint("<b>greet")')[-1]
    assert f"{SLUG} has no check named &#x27;&lt;b&gt;greet&#x27;" in shown
    assert "its checks: greets, takes_port, echoes" in shown
