"""What failed checks left to be looked at: the names of their containers, check by check."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from coursework.files import write_whole
from coursework.layout import Layout


class Kept:
    """The containers that failed checks of one module, in this clone, have left.

    Each check has a file of its own, so that two runs at once do not undo each other's notes.

    Args:
        layout: the clone.
        slug: of the module.
    """

    def __init__(self, layout: Layout, slug: str) -> None:
        self._folder = layout.state / "kept" / slug

    def names(self) -> set[str]:
        """Return the names of all of them."""
        return {name for path in self._folder.glob("*") for name in _read(path)}

    def replace(self, ran: Iterable[str], left: Mapping[str, Collection[str]]) -> set[str]:
        """Note what checks have left that ran just now.

        Args:
            ran: the checks that passed or failed; what earlier runs of them left is forgotten.
            left: names of containers by check.

        Returns:
            The names that no check keeps any longer.
        """
        before = self.names()
        for check in ran:
            if check not in left:
                with suppress(OSError):
                    (self._folder / check).unlink()
        for check, names in left.items():
            # A state folder that cannot be written costs a look at a container, not a verdict.
            with suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
                write_whole(self._folder / check, "\n".join(sorted(names)).encode())
        return before - self.names()


def _read(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").split()
    except (OSError, ValueError):
        return []
