"""One run of a module's checks: what is checked, what runs beside it, what was looked at."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from coursework.checks.evidence import Evidence
from coursework.checks.services import Services
from coursework.checks.verdict import CheckResult
from coursework.containers.building import Limits
from coursework.modules.catalogue import Module
from coursework.submissions.files import Submission
from coursework.trouble import CourseError


@dataclass(frozen=True)
class Task:
    """What one run checks.

    Args:
        module: of the catalogue.
        submission: the files that are checked.
        folder: where the learner works on the module.
        seed: of the run's random values.
        limits: of a build.
        on_line: is called with each line of a build's log.
        on_result: is called with each verdict.
        rootless: the cluster has no root on this machine, where that can be had.
    """

    module: Module
    submission: Submission
    folder: Path
    seed: int
    limits: Limits
    on_line: Callable[[str], None]
    on_result: Callable[[CheckResult], None]
    rootless: bool = False


@dataclass
class CheckRun:
    """What the words of the check API share; they ask for the fixture `check_run`.

    Args:
        task: what is checked.
        services: the containers of the run.
        keeps_failed: whether what failed checks used may stay, for the learner to look at.
        evidence: what the running check looked at.
        build_s: seconds that builds took.
        build_trouble: ours, not the answer's, in a build.
    """

    task: Task
    services: Services
    keeps_failed: bool = False
    evidence: Evidence = field(default_factory=Evidence)
    build_s: float = 0.0
    build_trouble: CourseError | None = None

    def close(self) -> None:
        """Remove the run's containers; those of failed checks may stay for the learner."""
        keep = self.evidence.kept if self.keeps_failed else ()
        # A learner waits for the verdict, not for the engine to put things away.
        self.services.close(keep, wait=not self.keeps_failed)
