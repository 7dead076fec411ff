"""One run of a module's checks: what is checked, what runs beside it, what was looked at."""

from collections.abc import Callable
from dataclasses import dataclass, field

from coursework.checks.evidence import Evidence
from coursework.checks.home import Home
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
        home: where the learner has it.
        seed: of the run's random values.
        limits: of a build.
        on_line: is called with each line of a build's log.
        on_result: is called with each verdict.
        rootless: the cluster has no root on this machine, where that can be had.
    """

    module: Module
    submission: Submission
    home: Home
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

    def kept(self) -> dict[str, set[str]]:
        """Return the containers that stay for each failed check, with what they talk to."""
        if not self.keeps_failed or self.services.engine.is_sandbox:
            return {}
        ours = self.services.ours
        return {name: kept | ours for name, kept in self.evidence.kept.items() if kept}

    def close(self) -> None:
        """Remove the run's containers; those of failed checks may stay for the learner."""
        keep = {name for names in self.kept().values() for name in names}
        # A learner waits for the verdict, not for the engine to put things away.
        self.services.close(keep, wait=not self.keeps_failed)
