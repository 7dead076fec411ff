"""The lab in a real browser: what is run is saved, terminals open where they are needed."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from coursework.engine import processes
from coursework.lab.server import Lab, free_port
from coursework.modules.progress import START_PAGE
from tests.publishing.browser import complaints, desk

# The page may have to be loaded more than once.
pytestmark = pytest.mark.timeout(500)
SLUG = "02-first-server"
_PREVIEW = ".jp-MarkdownViewer"
CELLS = ("%%writefile server.js\nold", "print(6 * 7, callable(check))")
SPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
_WITHIN_S = 40
_LOADED_TIMES = 4
_IDLE = "[data-status='idle']"
_EDITOR = ".jp-Notebook .jp-CodeCell .cm-content"
_TAB = "#jp-main-dock-panel .lm-TabBar-tabLabel"
_MENU = ".lm-MenuBar-itemLabel, .lm-Menu-itemLabel"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Return a lab that opens an exercise of two cells."""
    root = tmp_path_factory.mktemp("lab")
    notebook = new_notebook(cells=[new_code_cell(text) for text in CELLS])
    notebook.metadata["kernelspec"] = SPEC
    path = root / "work" / SLUG / "exercise.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    (root / "work" / START_PAGE).write_text("begun yesterday", "utf-8")
    opens = path.relative_to(root / "work").as_posix()
    # A person's own settings and layout have no part in it.
    own = {name: str(root / name) for name in ("JUPYTER_CONFIG_DIR", "IPYTHONDIR")}
    with Lab(root / "work", {**os.environ, **own}, free_port(9500), root / "lab.log", opens) as lab:
        lab.wait_until_usable()
        yield lab


@pytest.fixture(scope="module")
def browser(lab):
    """Return a browser in which the exercise is open and its kernel idle."""
    with desk() as driver:
        # Chromium drops what it loads whenever a container of another test begins or ends.
        for _ in range(_LOADED_TIMES):
            driver.get(lab.url)
            with suppress(TimeoutException):
                wait(driver, lambda: driver.find_elements(By.CSS_SELECTOR, _EDITOR))
                wait(driver, lambda: driver.find_elements(By.CSS_SELECTOR, _IDLE))
                break
        yield driver


@pytest.fixture
def page(browser):
    """Return the browser with the exercise in front."""
    front(browser, "exercise.ipynb")
    return browser


def wait(page, condition):
    return WebDriverWait(page, _WITHIN_S, 0.1).until(lambda _: condition())


def front(page, name):
    """Bring a tab to the front."""
    names = [tab.text for tab in page.find_elements(By.CSS_SELECTOR, _TAB)]
    clicked(page, _TAB, names.index(name))


def shown(page):
    """Return what the preview of a Markdown file shows; nothing while it is drawn again."""
    try:
        return page.find_element(By.CSS_SELECTOR, _PREVIEW).text
    except WebDriverException:
        return ""


def saved(lab, number):
    """Return a cell's text and outputs as they are saved; nothing while Jupyter writes the file."""
    try:
        text = (lab.folder / SLUG / "exercise.ipynb").read_text("utf-8")
        cell = json.loads(text)["cells"][number]
    except ValueError:
        return "", ""
    return "".join(cell["source"]), str(cell["outputs"])


def edit(page, number, text):
    """Add text at the end of a cell, and run nothing."""
    editor = clicked(page, _EDITOR, number)
    editor.send_keys(Keys.CONTROL + Keys.END)
    editor.send_keys(text)


def run(page, number):
    """Run a cell, and nothing else."""
    clicked(page, _EDITOR, number).send_keys(Keys.CONTROL + Keys.ENTER)


def clicked(page, selector, number):
    """Click an element as soon as nothing lies over it, and return it."""

    def click():
        try:
            element = page.find_elements(By.CSS_SELECTOR, selector)[number]
            element.click()
        except WebDriverException:
            return None
        return element

    return wait(page, click)


def choose(page, *words):
    """Choose an item in the menus."""
    for word in words:
        wait(page, lambda word=word: _item(page, word)).click()


def _item(page, word):
    items = page.find_elements(By.CSS_SELECTOR, _MENU)
    return next((item for item in items if item.is_displayed() and item.text == word), None)


def terminals(lab):
    """Return the folders that the lab's shells are in."""
    found = [pid for pid in _below(lab.pid) if _words(pid)[0].endswith("bash")]
    return [Path(f"/proc/{pid}/cwd").readlink() for pid in found]


def _below(pid):
    found = processes.children(pid)
    return [*found, *(deeper for child in found for deeper in _below(child))]


def _words(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8").split("\0")
    except OSError:
        return [""]


def test_running_any_cell_saves_what_was_typed_in_the_others(lab, page):
    """So a check knows that a cell was changed and not run."""
    edit(page, 0, "NEWER")
    time.sleep(1)
    assert "NEWER" not in saved(lab, 0)[0]
    run(page, 1)
    wait(page, lambda: "NEWER" in saved(lab, 0)[0])
    assert not (lab.folder / SLUG / "server.js").exists()
    # Its output as well, once it has ended; and `check` was known without an import.
    wait(page, lambda: "42 True" in saved(lab, 1)[1])


def test_a_new_terminal_is_in_the_notebooks_folder(lab, page):
    choose(page, "File", "New", "Terminal")
    wait(page, lambda: terminals(lab) == [lab.folder / SLUG])


def test_who_comes_back_to_the_start_page_sees_it_as_it_is_now(lab, page):
    """Each whole check rewrites it; its tab stays open meanwhile."""
    choose(page, "File", "Open from Path…")
    field = wait(page, lambda: page.find_element(By.CSS_SELECTOR, ".jp-Dialog input"))
    field.send_keys(START_PAGE + Keys.ENTER)
    wait(page, lambda: "begun yesterday" in shown(page))
    front(page, "exercise.ipynb")
    (lab.folder / START_PAGE).write_text("passed today", "utf-8")
    front(page, START_PAGE)
    wait(page, lambda: "passed today" in shown(page))


def test_nothing_on_the_page_complains(page):
    assert [text for text in complaints(page) if "http-to-kubernetes" in text] == []
