"""course similar: which learners' files of a module are alike, for you to look at."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich import progress
from rich.console import Console

from coursework.cohort.results import write_whole
from coursework.cohort.similarity.handed_in import read_class
from coursework.cohort.similarity.pairs import Pair, find_pairs
from coursework.cohort.similarity.report import (
    Similarity,
    counted,
    similarity_page,
    similarity_table,
)
from coursework.cohort.source import find_submissions, require_source
from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue
from coursework.report.lines import printable

_MOST_NAMED = 20
_MOST_SHOWN = 5


@click.command(name="similar")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--module", required=True, metavar="MODULE", help="The module that was answered.")
@click.option("--out", type=click.Path(path_type=Path), help="Default: classroom/grades.")
@click.option(
    "--name-pattern", default="", metavar="REGEX", help="Finds the group `learner` in each path."
)
def command(source: Path, module: str, out: Path | None, name_pattern: str) -> int:
    """Compare all learners' files in SOURCE, in pairs, and show those that are alike.

    SOURCE and --name-pattern are what `course grade` takes. Nothing of it is run, and no engine is
    needed. Names, texts, numbers, comments and spaces don't count, and neither does code that the
    course gave.

    Writes OUT/MODULE.similar.html, with the passages of each pair side by side, and
    OUT/MODULE.similar.csv. Similar code is no proof: read both files, then talk to both learners.

    Exit code 0: all were compared; 2: some notebooks or files could not be, and they are named.

    \b
    Example:
      course similar classroom/submitted --module 02
      course similar ~/Downloads/submissions.zip --module 02 --out ~/grades
      course similar ~/repos --module 02 --name-pattern 'lab-(?P<learner>[^/]+)/.*[.]ipynb'
    """
    require_source(source)
    layout = find_layout()
    slug = load_catalogue(layout).find(module).slug
    found = find_submissions(source, slug, name_pattern)
    console = Console(stderr=True, highlight=False)
    with _bar(console, "reading", len(found.submissions)) as advance:
        read, given = read_class(layout, slug, found.submissions, advance)
    with _bar(console, "comparing", len(read.documents)) as advance:
        pairs = find_pairs(read.documents, advance)
    left_out = [
        *read.left_out,
        *(f"{path}: its name doesn't say whose" for path in found.not_taken),
    ]
    learners = len({document.learner for document in read.documents})
    folder = out or layout.root / "classroom" / "grades"
    with console.status("writing the page …"):
        text = similarity_page(Similarity(slug, learners, pairs, given, left_out))
        write_whole(folder / f"{slug}.similar.html", text)
        write_whole(folder / f"{slug}.similar.csv", similarity_table(pairs.found))
    _tell(console, pairs.found, left_out)
    counts = f"{learners} learners, {counted(pairs.found)}"
    told = f"✓ {folder / slug}.similar.html and .csv: {counts}"
    console.print(told, markup=False, soft_wrap=True)
    return 2 if left_out else 0


@contextmanager
def _bar(console: Any, what: str, total: int) -> Iterator[Callable[[], None]]:
    # Elsewhere, an empty line would be all that is left of it.
    shown = console.is_terminal
    with progress.Progress(console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _tell(console: Any, pairs: Sequence[Pair], left_out: Sequence[str]) -> None:
    lines = [
        f"{pair.share:.0%}  {pair.left.learner}, {pair.left.name}"
        f" and {pair.right.learner}, {pair.right.name}"
        for pair in pairs[:_MOST_SHOWN]
    ]
    if pairs:
        lines.append("similar code is no proof: read both files, then talk to both learners")
    if left_out:
        lines.append(f"! not compared: {len(left_out)}")
        lines += [f"    {line}" for line in left_out[:_MOST_NAMED]]
    for line in lines:
        shown = printable(line.encode(errors="replace").decode()).replace("\n", " ")
        console.print(shown, markup=False, soft_wrap=True)
