"""The pytest plugin that orders checks and turns their ends into verdicts."""

import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from coursework.checks.again import again
from coursework.checks.failure import Blocked, Failure, StartFailure
from coursework.checks.points import Check, describe
from coursework.checks.run import CheckRun
from coursework.checks.verdict import CheckResult, Verdict

_RUN = pytest.StashKey[CheckRun]()


class CheckPlugin:
    """Order and verdicts of one run.

    Args:
        run: what the checks share.
        only: names of the checks to run, with those that they need; all by default.
    """

    def __init__(self, run: CheckRun, only: tuple[str, ...] = ()) -> None:
        self._run = run
        self._only = only
        self._seen_troubles: dict[int, str] = {}
        self._started_at = 0.0
        self.results: list[CheckResult] = []
        self.trouble = ""
        self.escaped: BaseException | None = None

    def pytest_configure(self, config: pytest.Config) -> None:
        """Hand the fixtures their run."""
        config.stash[_RUN] = self._run

    # --- order --------------------------------------------------------------------------------

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep the checks asked for, and those that they need."""
        if not self._only:
            return
        needs = {check.name: check.needs for check in map(_check, items)}
        wanted, queue = set[str](), list(self._only)
        while queue:
            name = queue.pop()
            if name not in wanted:
                wanted.add(name)
                queue += needs.get(name, ())
        left = [i for i in items if _check(i).name not in wanted]
        items[:] = [i for i in items if _check(i).name in wanted]
        config.hook.pytest_deselected(items=left)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip a check that needs one which has not passed."""
        passed = {r.name for r in self.results if r.verdict == "passed"}
        missing = [n for n in _check(item).needs if n not in passed]
        if missing:
            raise Blocked(f"it needs {' and '.join(missing)}")

    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Take the time of the check itself, and say that it runs."""
        self._run.task.on_line(f"checking {_check(item).name}")
        self._started_at = time.monotonic()

    # --- verdicts -----------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Note the verdict of a check as soon as it is known."""
        report = yield
        error = call.excinfo.value if call.excinfo else None
        if call.when == "call" or (call.when == "setup" and error is not None):
            self._note(item, error)
        elif call.when == "teardown" and error is not None:
            self.trouble = f"{_check(item).name}: {error!r}"
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember why the checks' file could not be loaded."""
        if report.failed:
            self.trouble = str(report.longrepr)[-1500:]

    def pytest_keyboard_interrupt(self) -> None:
        """Keep nothing: Ctrl-C cleans up."""
        self._run.keeps_failed = False

    def pytest_internalerror(self, excrepr: object) -> None:
        """Remember a fault of the machinery."""
        self.trouble = str(excrepr)[-1500:]

    def _note(self, item: pytest.Item, error: BaseException | None) -> None:
        check = _check(item)
        duration = time.monotonic() - self._started_at if self._started_at else 0.0
        self._started_at = 0.0
        verdict, reason = self._verdict(check.name, error)
        failed = verdict == "failed"
        failure = error if isinstance(error, Failure) else None
        saw = failure.saw if failure else str(error) if failed else repr(error)
        shown = verdict in ("failed", "error")
        hint, next_hint = _hints(check, error) if failed else ("", "")
        evidence = self._run.evidence
        is_last = item is item.session.items[-1]
        # Before anything is asked once more.
        log = evidence.log(failure) if shown else ""
        result = check.result(
            verdict,
            looked_for=(failure.looked_for if failure else check.title) if failed else "",
            saw=saw if shown else "",
            command=again(self._run, check.name, failure, is_last=is_last) if failed else "",
            log=log,
            hint=hint,
            next_hint=next_hint,
            # The lesson's section explains what the check asks, not why nothing came up.
            link=check.link if failed and not isinstance(failure, StartFailure) else "",
            reason=reason,
            duration_s=round(duration, 3),
        )
        self.results.append(result)
        evidence.end_check(check.name, passed=verdict == "passed")
        try:
            self._run.task.on_result(result)
        except BaseException as escaped:  # noqa: BLE001 - the view's own trouble, raised by grade()
            self.escaped = escaped
            item.session.shouldstop = "the view of the results ended"

    def _verdict(self, name: str, error: BaseException | None) -> tuple[Verdict, str]:
        if error is None:
            return "passed", ""
        if isinstance(error, Blocked | pytest.skip.Exception):
            return "skipped", str(error)
        # pytest raises a fixture's failure once for each check: it is one failure, told once.
        first = self._seen_troubles.setdefault(id(error), name)
        if not isinstance(error, AssertionError):
            return "error", ""
        return ("failed", "") if first == name else ("skipped", f"it meets the same: see {first}")


def _check(item: pytest.Item) -> Check:
    return describe(item.function)  # type: ignore[attr-defined]


def _hints(check: Check, error: BaseException | None) -> tuple[str, str]:
    """Return the hints of what failed: a check's own speak of answers, not of builds and starts."""
    if isinstance(error, Failure) and (error.hint or isinstance(error, StartFailure)):
        return error.hint, ""
    first, second, *_ = (*check.hints, "", "")
    return first, second


@pytest.fixture(scope="session")
def check_run(request: pytest.FixtureRequest) -> CheckRun:
    """Return what the checks of this run share."""
    return request.config.stash[_RUN]


@pytest.fixture(scope="module", autouse=True)
def _started_side_by_side(request: pytest.FixtureRequest) -> None:
    """Ask for every module's fixture now, so that their containers start side by side."""
    for name in _module_fixtures(request):
        try:
            request.getfixturevalue(name)
        except (AssertionError, Blocked):
            # pytest raises it again in each check that asks for this fixture.
            continue


def _module_fixtures(request: pytest.FixtureRequest) -> Iterator[str]:
    asked: dict[str, None] = {}
    for item in request.session.items:
        definitions = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        for name in item.fixturenames:  # type: ignore[attr-defined]
            if name in definitions and definitions[name][-1].scope == "module":
                asked[name] = None
    asked.pop(_started_side_by_side.__name__, None)
    yield from asked
