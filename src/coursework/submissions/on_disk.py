"""What lies beside a notebook, compared with its saved cells: run, not saved; saved, not run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from coursework.submissions.cells import written_by
from coursework.submissions.files import Files, SubmissionError

# The cell ran in this kernel: then its text was changed, or not saved, or another wrote the file,
# or the cell is gone.
NOT_RUN, NOT_SAVED, OUTSIDE, GONE = "not run", "not saved", "outside", "gone"
# It did not: the file was written before the notebook was saved, or afterwards.
OLDER, NEWER = "older", "newer"


@dataclass(frozen=True)
class OnDisk:
    """Files beside a notebook, as they were when they were read.

    Args:
        files: content by relative path.
        written_at: when each was last written, in nanoseconds of the epoch.
    """

    files: Mapping[str, bytes]
    written_at: Mapping[str, int]

    def differing(
        self, saved: Mapping[str, bytes], saved_at: int, ran: Mapping[str, bytes]
    ) -> dict[str, list[str]]:
        """Return the files that differ from the saved cells, by what must have happened.

        Args:
            saved: content by path, as the saved notebook's cells write it.
            saved_at: when the notebook was saved, in nanoseconds of the epoch.
            ran: content by path, as the cells wrote it that ran in this kernel.
        """
        kinds: dict[str, list[str]] = {}
        for name, data in self.files.items():
            if saved.get(name) != data:
                kind = self._kind(name, saved_at, ran)
                kind = GONE if kind == NOT_RUN and name not in saved else kind
                kinds.setdefault(kind, []).append(name)
        return kinds

    def _kind(self, name: str, saved_at: int, ran: Mapping[str, bytes]) -> str:
        is_older = saved_at > self.written_at[name]
        if name not in ran:
            return OLDER if is_older else NEWER
        if ran[name] != self.files[name]:
            return OUTSIDE
        # What was saved after the cell ran is what the cell says now.
        return NOT_RUN if is_older else NOT_SAVED


def read_beside(folder: Path, names: Iterable[str]) -> OnDisk:
    """Read those of some files that are there."""
    paths = {name: folder / name for name in dict.fromkeys(names)}
    found = {name: path for name, path in paths.items() if path.is_file()}
    times = {name: path.stat().st_mtime_ns for name, path in found.items()}
    return OnDisk({name: path.read_bytes() for name, path in found.items()}, times)


def written_by_cells(
    sources: Iterable[str], starter: Mapping[str, bytes] = MappingProxyType({})
) -> dict[str, bytes]:
    """Return what executed cells wrote; a refused one was another exercise's or a slip."""
    files = Files(starter)
    for source in sources:
        try:
            if written := written_by(source):
                files.write(written.path, written.text, append=written.append)
        except SubmissionError:
            continue
    return files.content


def differs(names: list[str]) -> str:
    """Return the beginning of a warning: which files differ from their cells."""
    verb = "differs from its cell" if len(names) == 1 else "differ from their cells"
    return f"{', '.join(names)} on disk {verb} in the saved notebook"
