"""What the audit reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that does not hold.

    Args:
        module: slug; empty where no module is concerned.
        file: where to look, relative to the clone.
        rule: short name of what was expected.
        what: what was seen, in one sentence.
        command: what shows or repairs it.
    """

    module: str
    file: str
    rule: str
    what: str
    command: str

    def __str__(self) -> str:
        return f"✗ {self.file}  {self.rule}\n    {self.what}\n    → {self.command}"
