"""One submission judged: by a process of its own, in a sandbox that is thrown away afterwards."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from coursework.checks.points import Check
from coursework.checks.verdict import Report
from coursework.cluster import rootless
from coursework.cohort.results import Result
from coursework.cohort.source import HandedIn
from coursework.cohort.worker import Job, Worker
from coursework.containers.building import Limits
from coursework.engine import Engine, address
from coursework.grading.grade import list_checks
from coursework.grading.handed_in import refused
from coursework.grading.warming import warming_answers
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.modules.module_files import module_files
from coursework.sandbox import Fleet, open_fleet
from coursework.submissions.files import SubmissionError
from coursework.submissions.notebook import parse_notebook
from coursework.trouble import CourseError

GRADED_WITHIN_S = 420.0
_ATTEMPTS = 2


def open_sandboxes(
    layout: Layout,
    module: Module,
    outer: Engine,
    tell: Callable[[str], None],
    *,
    ahead: int,
    wanted: int,
    trusted: bool,
) -> AbstractContextManager[Fleet | None]:
    """Open what submissions to a module are judged in; None inside means the outer engine.

    Args:
        layout: the clone.
        module: that is answered.
        outer: the engine of this machine.
        tell: is told each step.
        ahead: how many sandboxes wait ready.
        wanted: how many will be taken in all.
        trusted: use none, where the module itself wants none.

    Raises:
        CourseError: no sandbox can run here.
    """
    if module.cluster_images and (why := rootless.unsupported_reason(outer)):
        tell(f"! the cluster has root in its container here: {why}")
    # Manifests are judged in a namespace of a cluster: nothing of theirs is built here.
    if not module.sandbox and (trusted or module.cluster_images):
        return nullcontext()
    answers = warming_answers(layout, module)
    return open_fleet(outer, module, answers, tell, ahead=ahead, wanted=wanted)


@dataclass
class Judge:
    """Who judges submissions to a module, one after another or several at once.

    Args:
        layout: the clone.
        module: that is answered.
        outer: the engine of this machine.
        fleet: of sandboxes; None judges all in the outer engine.
        within_s: seconds that one attempt may take.
        limits: of each build.
    """

    layout: Layout
    module: Module
    outer: Engine
    fleet: Fleet | None = None
    within_s: float = GRADED_WITHIN_S
    limits: Limits = field(default_factory=lambda: Limits(seconds=120))

    def __post_init__(self) -> None:
        # Here and not when first asked: pytest, which lists them, is for one thread.
        self._checks = list_checks(self.layout, self.module.slug)
        self._starter = module_files(self.layout, self.module.slug).starter

    def judge(
        self,
        submission: HandedIn,
        worker: Worker,
        on_trouble: Callable[[str, CourseError], None],
        key: str = "",
    ) -> Result:
        """Judge a submission; what is in trouble is tried once more in a fresh sandbox.

        Args:
            submission: in whatever state.
            worker: the process that grades it; nobody else uses it meanwhile.
            on_trouble: is called with a learner's name and why an attempt could not judge.
            key: of the result.

        Raises:
            CourseError: this machine's engine is gone.
        """
        learner, slug = submission.learner, self.module.slug
        try:
            # What cannot be read needs no sandbox.
            read = parse_notebook(submission.read(), module=slug, starter=self._starter)
        except SubmissionError as error:
            return refused_result(self._checks, learner, slug, key, error)
        trouble = CourseError("")
        for attempt in range(1, _ATTEMPTS + 1):
            if self.fleet and attempt > 1:
                self.fleet.want_another()
            try:
                report = self._attempt(read.files, worker)
            except CourseError as error:
                self._require_engine()
                trouble = error
                on_trouble(learner, error)
                continue
            report = replace(report, warnings=report.warnings + read.warnings)
            result = Result(learner, slug, key, report, "", attempt)
            if result.is_final or attempt == _ATTEMPTS:
                return result
        return unjudged_result(self._checks, learner, slug, key, str(trouble))

    def _attempt(self, files: Mapping[str, bytes], worker: Worker) -> Report:
        if self.fleet is None:
            return worker.grade(self._job(files, self.outer), self.within_s)
        sandbox, engine = self.fleet.take()
        try:
            report = worker.grade(self._job(files, engine), self.within_s)
            sandbox.require_intact()
            return report
        finally:
            self.fleet.throw_away(sandbox)

    def _job(self, files: Mapping[str, bytes], engine: Engine) -> Job:
        return Job(self.layout, self.module, files, engine, self.limits)

    def _require_engine(self) -> None:
        """Stop everything where this machine's engine is gone: no submission is to blame."""
        answer = address.probe(self.outer.docker_host, 5.0)
        if not answer.answers:
            raise CourseError(
                "The container engine is gone.",
                why=answer.reason,
                fix="course engine start, then type the command again",
            )


def refused_result(
    checks: Sequence[Check], learner: str, slug: str, key: str, error: SubmissionError
) -> Result:
    """Return the result of a submission that cannot be read."""
    failed = tuple(refused(check, error) for check in checks)
    return Result(learner, slug, key, Report(slug, "", 0, failed))


def unjudged_result(
    checks: Sequence[Check], learner: str, slug: str, key: str, trouble: str
) -> Result:
    """Return the result of a submission that could not be judged, though it was tried again."""
    unjudged = tuple(check.result("error", saw=trouble[:1000]) for check in checks)
    return Result(learner, slug, key, Report(slug, "", 0, unjudged), trouble, _ATTEMPTS)
