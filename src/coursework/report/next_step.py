"""What to do after a whole report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NextStep:
    """One line for the end of a report.

    Args:
        said: what to do; after the notebook's path, where one is to be opened.
        opens: that notebook, as a path below work/; empty for none.
    """

    said: str
    opens: str = ""

    @property
    def told(self) -> str:
        """The line in a terminal, where paths begin at the clone."""
        return f"next: work/{self.opens}, {self.said}" if self.opens else self.said
