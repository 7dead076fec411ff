"""What the clones of one run have in common: the commit, the code, the module and its proof."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import coursework
from coursework.authoring.proof import PROOF
from coursework.cohort.grading import graded_by
from coursework.files import files_digest
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.programs import run

_SHOWN = 9


@dataclass(frozen=True)
class Identity:
    """What decides a verdict on a machine, apart from the machine.

    Args:
        commit: of the clone; empty where git knows none.
        code: digest of the grader, as this process loaded it.
        module: digest of the module's checks, given files and images.
        proof: digest of the module's proof; empty where it has none.
    """

    commit: str
    code: str
    module: str
    proof: str

    @classmethod
    def of(cls, layout: Layout, module: Module) -> Self:
        """Return that of a clone and one of its modules."""
        proof = layout.grader(module.slug) / PROOF
        sealed = hashlib.sha256(proof.read_bytes()).hexdigest() if proof.is_file() else ""
        return cls(_commit(layout.root), _code(), graded_by(layout, module), sealed)

    @classmethod
    def from_json(cls, values: Mapping[str, str]) -> Self:
        """Return the one that another machine sent."""
        return cls(*(str(values.get(name, "")) for name in cls.__dataclass_fields__))

    def to_json(self) -> dict[str, str]:
        """Return it to be sent."""
        return asdict(self)

    def unlike(self, wanted: "Identity") -> str:
        """Say how this clone differs from the one that is wanted; empty where it doesn't."""
        if self.commit != wanted.commit:
            return f"it has commit {_short(self.commit)}, this clone has {_short(wanted.commit)}"
        if self.code != wanted.code:
            return (
                "it runs other code in src/coursework; if its clone was updated, restart the worker"
            )
        if self.module != wanted.module:
            return "its checks, given files or images of the module differ"
        return "" if self.proof == wanted.proof else "its proof of the module differs"


def _short(commit: str) -> str:
    return commit[:_SHOWN] or "none"


def _commit(root: Path) -> str:
    try:
        done = run(["git", "-C", root, "rev-parse", "HEAD"])
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


# Once a process: what is loaded stays loaded, whatever becomes of the files.
@lru_cache(maxsize=1)
def _code() -> str:
    folder = Path(coursework.__file__).parent
    return files_digest(
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.py")}
    )
