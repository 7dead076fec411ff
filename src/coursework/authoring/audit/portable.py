"""A rule about a lesson's shell: it runs with the tools of Linux and of macOS."""

import re
from collections.abc import Iterator

from coursework.authoring.audit.subject import Finding, Subject

_CONTINUED = re.compile(r"\\\n\s*")
# What follows one of these on a line runs in a container, where the tools are always the same.
_IN_CONTAINER = re.compile(
    r"\bdocker\s+(?:compose\s+)?(?:exec|run)\s|^\s*RUN\s|^\s*(?:command|args):\s"
)
_BEGINS_COMMAND = r"""(?:^|[|;&(!`"']|\b(?:do|else|if|then|time|until|while)\s)\s*"""
_UNPORTABLE = (
    (
        re.compile(_BEGINS_COMMAND + r"sed\s+(?:-\w+\s+)*(?:-[nEr]*i|--in-place\S*)\s"),
        "sed -i without a suffix fails on macOS: write sed -i.bak",
    ),
    (
        re.compile(_BEGINS_COMMAND + r"timeout\s+(?:-\S+\s+)*[\d$]"),
        "macOS has no timeout: limit the loop, or write curl --max-time",
    ),
)


def shell_is_portable(subject: Subject) -> Iterator[Finding]:
    """Find commands of a lesson's cells that macOS does not have, or reads in another way."""
    path = subject.layout.lesson(subject.slug)
    for cell in subject.lesson:
        if cell.kind == "code":
            for line in _CONTINUED.sub(" ", cell.text).splitlines():
                for fault in _faults(line):
                    what = f"{fault}: {line.strip()[:60]}"
                    yield subject.finding(path, "unportable-command", what)


def _faults(line: str) -> Iterator[str]:
    for pattern, what in _UNPORTABLE:
        found = pattern.search(line)
        if found and not _IN_CONTAINER.search(line, 0, found.end()):
            yield what
