"""What an output tells of the machine that it was made on, and must not be published."""

import os
import re
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from coursework.authoring.outputs import Shown

_ADDRESS = re.compile(r"\bhttps?://[^\s\"'<>()\[\]{}\\]+")
# By such variables package managers and engines are told where to go.
_TELLING_VARIABLE = re.compile(r"(proxy|index_url|registry|mirror)$", re.IGNORECASE)
# Hosts that packages come from are called so; they may be this machine's alone.
_OF_PACKAGES = re.compile(r"registry|mirror|proxy|cache|index|packages|pkg|artifact|nexus|pypi|npm"
                          r"|pythonhosted|golang|\bdeb\b")  # fmt: skip
_USUAL_HOMES = {Path("/root"), Path("/")}
_SHORT_CHARACTERS = 6


def without_folder(shown: Iterable[Shown], folder: Path, slug: str) -> tuple[Shown, ...]:
    """Return outputs that name a learner's folder in place of the one that the lesson ran in."""
    names = sorted({str(folder), str(folder.resolve())}, key=len, reverse=True)

    def named(text: str) -> str:
        for name in names:
            text = text.replace(name, f"…/work/{slug}")
        return text

    return tuple(tuple(named(o) if isinstance(o, str) else o for o in cell) for cell in shown)


def private_words(shown: Shown, root: Path, lesson: str) -> list[str]:
    """Return what a cell printed of this machine, and of where its packages come from.

    Args:
        shown: by the cell.
        root: of the clone.
        lesson: its text: a host that this names may be printed too.
    """
    text = "\n".join(output for output in shown if isinstance(output, str))
    words = [word for word in _of_this_machine(root) if word in text]
    hosts = (urlsplit(address).hostname or "" for address in _ADDRESS.findall(text))
    return [*words, *dict.fromkeys(h for h in hosts if _gives_packages(h) and h not in lesson)]


def _of_this_machine(root: Path) -> Iterator[str]:
    yield str(root)
    if Path.home() not in _USUAL_HOMES:
        yield str(Path.home())
    if len(socket.gethostname()) >= _SHORT_CHARACTERS:
        yield socket.gethostname()
    for name, value in os.environ.items():
        if _TELLING_VARIABLE.search(name) and (host := urlsplit(value).hostname):
            yield host


def _gives_packages(host: str) -> bool:
    """Tell whether a host is one of the internet's whose name speaks of packages."""
    is_page = host.startswith(("docs.", "www."))
    return "." in host and not is_page and bool(_OF_PACKAGES.search(host))
