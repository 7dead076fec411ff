"""What tests of the site share: a small course, its built site, and a phone-sized browser."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

from coursework.authoring.new import new_module
from coursework.authoring.outputs import Picture, write_outputs
from coursework.authoring.source import read_cells
from coursework.layout import Layout
from coursework.publishing.building import build_site
from tests.authoring.conftest import ALPHA, BETA, edit

ROOT = Path(__file__).parents[2]
TOPICS = f"# Topics\n\n| cells |\n|---|\n| [the first]({ALPHA}/lesson.md#a-picture) |\n"
ANSWER = "nobody may read this line of the answer"
LARGE_PICTURE = Picture(b"\x89PNG" + bytes(100_001))
# The guide for authors has these lines of a new module's solution in an example.
SHOWN_TO_AUTHORS = ("self.send_error(404)", '"Content-Type", "application/json")')
PICTURE = "\n## A picture\n\n```mermaid\nflowchart LR\n    reader --> page\n```\n"


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Layout:
    """Return a clone of two modules with its site in build/site."""
    layout = Layout(tmp_path_factory.mktemp("published") / "clone")
    layout.catalogue.parent.mkdir(parents=True)
    layout.catalogue.write_text("# The modules.\n", "utf-8")
    for name in ("images", "site"):
        shutil.copytree(ROOT / name, layout.root / name)
    for name in ("mkdocs.yml", "CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, layout.root)
    (layout.root / "src").symlink_to(ROOT / "src")
    new_module(layout, ALPHA, "First steps")
    new_module(layout, BETA, "Two & more <steps>")
    layout.topics.write_text(TOPICS, "utf-8")
    entry, beta = layout.catalogue.read_text("utf-8").rsplit("requires = []", 1)
    layout.catalogue.write_text(f'{entry}requires = ["{ALPHA}"]{beta}', "utf-8")
    lesson = layout.lesson(ALPHA)
    lesson.write_text(lesson.read_text("utf-8") + PICTURE, "utf-8")
    for slug in (ALPHA, BETA):
        solution = layout.solution(slug)
        text = solution.read_text("utf-8").replace("# END", f"# {ANSWER}\n# END")
        for line in SHOWN_TO_AUTHORS:
            text = text.replace(line, f"{line}  # in {slug}")
        solution.write_text(text, "utf-8")
    _show(layout, ALPHA, LARGE_PICTURE)
    _show(layout, BETA)
    build_site(layout)
    return layout


def _show(layout, slug, *more):
    """Keep an output for each cell of a lesson, as a run would; the first has more of them."""
    cells = read_cells(layout.lesson(slug))
    texts = [(f"{slug} has printed this below cell {n}\n",) for n in range(len(cells))]
    code = [text for text, cell in zip(texts, cells, strict=True) if cell.kind == "code"]
    write_outputs(layout, slug, cells, [(*code[0], *more), *code[1:]])


@pytest.fixture
def clone(published, tmp_path) -> Layout:
    """Return a copy of the clone to change at will; its lessons have run."""
    shutil.copytree(published.root, tmp_path / "clone", symlinks=True)
    return Layout(tmp_path / "clone")


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def address(published):
    """Return the address at which the site is served."""
    handler = functools.partial(_Silent, directory=published.root / "build" / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


__all__ = ["ALPHA", "ANSWER", "BETA", "LARGE_PICTURE", "edit"]
