"""The files of a class to compare, and what the course itself gave; nothing of them is run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from coursework.authoring.solutions import without_solution
from coursework.authoring.source import read_cells
from coursework.cohort.similarity.pairs import Document, given_grams
from coursework.cohort.source import HandedIn
from coursework.layout import Layout
from coursework.modules.module_files import module_files
from coursework.submissions.cells import written_by
from coursework.submissions.files import SubmissionError
from coursework.submissions.notebook import parse_notebook

# Nobody writes more by hand, and a lexer takes long for it.
_LONGEST = 100_000


@dataclass(frozen=True)
class Read:
    """What was read of a class.

    Args:
        documents: to compare.
        left_out: what isn't compared, each with the reason.
    """

    documents: list[Document] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def read_class(
    layout: Layout,
    slug: str,
    submissions: Sequence[HandedIn],
    on_read: Callable[[], None] = lambda: None,
) -> tuple[Read, frozenset[int]]:
    """Return the files of all submissions, and the grams of those that the course gave.

    Args:
        layout: the clone.
        slug: of the module.
        submissions: of the class.
        on_read: is called after each.

    Raises:
        SourceError: the module's own texts cannot be read.
    """
    laid = module_files(layout, slug)
    given = given_grams(_given(layout, slug))
    read = Read()
    for submission in submissions:
        try:
            files = parse_notebook(submission.read(), module=slug, starter=laid.starter).files
        except SubmissionError as error:
            read.left_out.append(f"{submission.learner}: {error.what} {error.why}".strip())
        else:
            own = {name: data for name, data in files.items() if name not in laid.given}
            _add(read, submission.learner, own, given)
        on_read()
    return read, given


def _add(read: Read, learner: str, files: dict[str, bytes], given: frozenset[int]) -> None:
    for name, data in files.items():
        text = _text(data)
        if len(text) > _LONGEST:
            why = f"{len(text):,} characters; at most {_LONGEST:,} are compared"
            read.left_out.append(f"{learner}: {name} has {why}")
        else:
            read.documents.append(Document.of(learner, name, text, given))


def _given(layout: Layout, slug: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of what nobody has to write: laid files, cells to fill, the lesson's."""
    laid = module_files(layout, slug)
    for name, data in laid.around({}).items():
        yield name, _text(data)
    sources = [
        without_solution(cell, laid.starter).text
        for cell in read_cells(layout.solution(slug))
        if cell.kind == "code"
    ]
    if layout.lesson(slug).is_file():
        sources += [c.text for c in read_cells(layout.lesson(slug)) if c.kind == "code"]
    for source in sources:
        if written := written_by(source):
            yield written.path, written.text


def _text(data: bytes) -> str:
    text = data.decode("utf-8-sig", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")
