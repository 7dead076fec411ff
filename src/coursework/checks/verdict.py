"""What a grading ends with: a result for each check, and the report over all of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SCHEMA = 1
Verdict = Literal["passed", "failed", "skipped", "error"]


@dataclass(frozen=True)
class CheckResult:
    """One check's verdict and what a learner reads about it.

    Args:
        name: without `check_`.
        title: the check's docstring.
        verdict: passed, failed (theirs), skipped (nothing to look at) or error (ours).
        points: had.
        max_points: to be had.
        looked_for: what the contract asks; empty unless failed.
        saw: what came instead; for an error, what went wrong on our side.
        command: what to type to see it again.
        log: last lines that the server or the build printed.
        hint: where to look.
        next_hint: nearly the code, for a learner who asks for it; empty where there is none.
        link: heading of the lesson's section.
        reason: why it was skipped.
        duration_s: seconds, without build and start.
    """

    name: str
    title: str
    verdict: Verdict
    points: int
    max_points: int
    looked_for: str = ""
    saw: str = ""
    command: str = ""
    log: str = ""
    hint: str = ""
    next_hint: str = ""
    link: str = ""
    reason: str = ""
    duration_s: float = 0.0


@dataclass(frozen=True)
class Report:
    """All results of one run.

    Args:
        module: slug.
        run: the run's id; kept containers carry it as a label.
        seed: repeats the run's random values.
        checks: in the order of the checks' file.
        timings: seconds by part: build, checks, total.
        warnings: what the learner should know beside the verdicts.
    """

    module: str
    run: str
    seed: int
    checks: tuple[CheckResult, ...]
    timings: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        """Points had."""
        return sum(c.points for c in self.checks)

    @property
    def max_points(self) -> int:
        """Points to be had."""
        return sum(c.max_points for c in self.checks)

    @property
    def exit_code(self) -> int:
        """0 all passed, 1 some failed or were skipped, 2 our own trouble."""
        verdicts = {c.verdict for c in self.checks}
        if "error" in verdicts or not verdicts:
            return 2
        return 0 if verdicts == {"passed"} else 1

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values; report/schema.json describes them."""
        return {
            "schema": SCHEMA,
            "module": self.module,
            "run": self.run,
            "seed": self.seed,
            "points": self.points,
            "max_points": self.max_points,
            "checks": [asdict(c) for c in self.checks],
            "timings": dict(self.timings),
            "warnings": list(self.warnings),
        }
