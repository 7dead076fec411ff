"""A cell is read as IPython reads it, compared with a real kernel; what only looks so is named."""

import pytest
from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st
from jupyter_client.manager import start_new_kernel

from coursework.submissions.cells import unread, written_by
from coursework.submissions.files import SubmissionError
from coursework.submissions.notebook import written_files

FORMS = [
    "%%writefile f\nx",
    "%%writefile f -a\nx",
    "%%writefile --append f\nx",
    "%%writefile -a -- f\nx",
    "%%writefile --app f\nx",
    "%%file f\nx",
    "\n\n%%writefile f\nx",
    "  \n\t\n%%writefile f\nx",
    "\r\n \r\n%%writefile f\r\nx\r\n",
    "  %%writefile f\n  x\n    y",
    "%%writefile   f   \nx",
    "%%writefile\tf\nx",
    "%%writefile 'a b'\nx",
    '%%writefile "a b"\nx',
    "%%writefile a b\nx",
    "%%writefile 'a\nx",
    "%%writefile\nx",
    "%%writefile f",
    "%%writefile f\n",
    "%%writefile f\n\n",
    "%%writefile? f\nx",
    "%%Writefile f\nx",
    "%writefile f\nx",
    "# mine\n%%writefile f\nx",
    "```\n%%writefile f\nx\n```",
    "x = 1\n%%writefile f\nx",
    ">>> %%writefile f\n>>> x\n... y",
    "In [1]: %%writefile f\n   ...: x",
    "%%writefile f\n  \nx\n   \n",
    "%%writefile f\nx\u2028y\x0cz\x85",
    "%%writefile f\x0cx\ny",
    "\ufeff%%writefile f\nx",
    "%%writefile f # a comment\nx",
    "%%writefile f\n>>> x\n%%writefile g\ny",
    "%%writefile f\nžluťoučký 🎭\r\nx\r",
]  # fmt: skip


class Kernel:
    """A real kernel in a folder, and what a cell writes there."""

    def __init__(self, folder):
        self.folder = folder
        self._manager, self._client = start_new_kernel(cwd=str(folder))

    def writes(self, *sources):
        """Run cells in an empty folder; return its files."""
        for path in self.folder.iterdir():
            path.unlink()
        for source in sources:
            self._client.execute_interactive(
                source, store_history=False, output_hook=lambda _: None, timeout=30
            )
        return {p.name: p.read_bytes() for p in self.folder.iterdir()}

    def stop(self):
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    kernel = Kernel(tmp_path_factory.mktemp("kernel"))
    yield kernel
    kernel.stop()


def read(*sources):
    """Return what we read; a kernel writes nothing by a cell that IPython refuses."""
    files: dict[str, bytes] = {}
    for source in sources:
        try:
            files |= written_files([source], files)
        except SubmissionError as error:
            if not error.what.startswith("The cell"):
                # Our own refusals are not IPython's.
                raise
    return files


def test_each_form_is_read_as_a_real_kernel_reads_it(kernel):
    """Blank lines, options, quotes, prompts, line ends: a kernel is asked, not our memory."""
    for form in FORMS:
        assert read(form) == kernel.writes(form), repr(form)
        first = "%%writefile f\nbefore"
        assert read(first, form) == kernel.writes(first, form), repr(form)


PIECES = st.sampled_from([
    "%%writefile", "%%file", "%", " ", " ", "\t", "\n", "\n", "\r\n", "f", "g", "-a", "--append",
    "--", "'", '"', "#", "?", ">>> ", "... ", "In [1]: ", "x", "é", "\x0c", "\u2028", "=", ";", ",",
])  # fmt: skip
TEXTS = st.lists(PIECES, max_size=8).map("".join)
CELLS = st.builds(
    "{}%%writefile {}f{}\n{}".format,
    st.sampled_from(["", "", "\n", " ", "\t\n", ">>> ", "\r\n"]),
    st.sampled_from(["", "-a ", "-- ", "'", " "]),
    TEXTS,
    TEXTS,
) | TEXTS.map("{}\nf".format)


def read_or_skip(*cells):
    """Return what we read; examples that only we refuse are none."""
    try:
        return read(*cells)
    except SubmissionError:
        return reject()


@given(cells=st.lists(CELLS, min_size=1, max_size=2))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@example(cells=["%%writefile f -a\nx", "%%writefile 'f\n"])
def test_any_cell_is_read_as_a_real_kernel_reads_it(kernel, cells):
    """Whatever the pieces of a cell and their order."""
    assert read_or_skip(*cells) == kernel.writes(*cells)


@pytest.mark.nightly
@pytest.mark.timeout(900)
@given(cells=st.lists(CELLS, min_size=1, max_size=3))
@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_cells_are_read_as_a_real_kernel_reads_them(kernel, cells):
    """The same, at length."""
    assert read_or_skip(*cells) == kernel.writes(*cells)


@pytest.mark.parametrize("arguments", ["f -b", "-a", "a b", "'a"])
def test_what_ipython_refuses_is_refused_in_its_words(arguments):
    """The message shows the cell, and how to write it."""
    with pytest.raises(SubmissionError, match="is refused") as error:
        written_by(f"%%writefile {arguments}\nx")
    assert error.value.why
    assert error.value.fix == "%%writefile server.js"


@pytest.mark.parametrize(
    ("kind", "source", "told"),
    [
        ("code", "# mine\n%%writefile server.js\nx", "%%writefile server.js in line 2"),
        ("code", "```\n%%writefile server.js\nx", "in line 2, where it is not read"),
        ("code", "%%writefile a.js\nx\n\n%%writefile server.js\ny", "server.js in line 4"),
        ("code", "%%capture\n%%writefile server.js\nx", "in line 2"),
        ("code", "%writefile server.js\nx", "begins with %writefile server.js, which IPython"),
        ("code", "\n%%Writefile server.js\nx", "write %%writefile server.js"),
        ("code", "%%writefile server.js\n", "writes no server.js: IPython refuses an empty cell"),
        ("markdown", "```\n%%writefile server.js\nx\n```", "is no code cell: change its kind"),
        ("raw", "%%writefile server.js\nx", "is no code cell"),
        ("code", "%%bash\ncat > server.js <<'EOF'\nx\nEOF", "writes server.js by a shell"),
        ("code", "!cat <<EOF >> server.js", "writes server.js by a shell"),
        ("code", "%%sh\necho x | tee -a server.js", "writes server.js by a shell"),
    ],
)
def test_what_looks_like_a_file_and_is_none_is_named(kind, source, told):
    """With the cell's number and what to do."""
    (line,) = unread(kind, source, 7)
    assert line.startswith("cell 7 ")
    assert told in line


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("code", "%%writefile server.js\nx"),
        ("code", "%%writefile run.sh\ncat > /tmp/x"),
        ("code", "print('%%writefile server.js')"),
        ("code", "!docker ps > /dev/null"),
        ("markdown", "A cell that begins with `%%writefile server.js` is a file."),
    ],
)
def test_what_is_meant_as_it_is_says_nothing(kind, source):
    """Files, prose about files, and commands that write none."""
    assert list(unread(kind, source, 1)) == []
