"""The pytest plugin that orders checks and turns their ends into verdicts."""

import time
from collections.abc import Generator
from typing import Any

import pytest

from coursework.checks.failure import Blocked, Failure, StartFailure
from coursework.checks.fixtures import SESSION
from coursework.checks.points import PREFIX, Marks, marks_of
from coursework.checks.session import Session
from coursework.checks.verdict import CheckResult, Verdict


class CheckPlugin:
    """Order and verdicts of one run.

    Args:
        session: what the run builds and starts.
        only: names of the checks to run, with those that they need; all by default.
    """

    def __init__(self, session: Session, only: tuple[str, ...] = ()) -> None:
        self._session = session
        self._only = only
        self._seen_troubles: dict[int, str] = {}
        self._started_at = 0.0
        self.results: list[CheckResult] = []
        self.trouble = ""
        self.escaped: BaseException | None = None

    def pytest_configure(self, config: pytest.Config) -> None:
        """Hand the fixtures their session."""
        config.stash[SESSION] = self._session

    # --- order --------------------------------------------------------------------------------

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep the checks asked for, and those that they need."""
        if not self._only:
            return
        needs = {_name(i): _marks(i).needs for i in items}
        wanted, queue = set[str](), list(self._only)
        while queue:
            name = queue.pop()
            if name not in wanted:
                wanted.add(name)
                queue += needs.get(name, ())
        left = [i for i in items if _name(i) not in wanted]
        items[:] = [i for i in items if _name(i) in wanted]
        config.hook.pytest_deselected(items=left)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip a check that needs one which has not passed."""
        passed = {r.name for r in self.results if r.verdict == "passed"}
        missing = [n for n in _marks(item).needs if n not in passed]
        if missing:
            raise Blocked(f"it needs {' and '.join(missing)}")

    def pytest_runtest_call(self) -> None:
        """Take the time of the check itself."""
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
            self.trouble = f"{_name(item)}: {error!r}"
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember why the checks' file could not be loaded."""
        if report.failed:
            self.trouble = str(report.longrepr)[-1500:]

    def pytest_internalerror(self, excrepr: object) -> None:
        """Remember a fault of the machinery."""
        self.trouble = str(excrepr)[-1500:]

    def _note(self, item: pytest.Item, error: BaseException | None) -> None:
        name, marks = _name(item), _marks(item)
        duration = time.monotonic() - self._started_at if self._started_at else 0.0
        self._started_at = 0.0
        verdict, reason = self._verdict(name, error)
        failed = verdict == "failed"
        failure = error if isinstance(error, Failure) else None
        saw = failure.saw if failure else str(error) if failed else repr(error)
        shown = verdict in ("failed", "error")
        hint, next_hint = _hints(marks, error) if failed else ("", "")
        result = CheckResult(
            name=name,
            title=_title(item),
            verdict=verdict,
            points=marks.points if verdict == "passed" else 0,
            max_points=marks.points,
            looked_for=(failure.looked_for if failure else _title(item)) if failed else "",
            saw=saw if shown else "",
            command=self._session.command(failure) if failed else "",
            log=self._session.log(failure) if shown else "",
            hint=hint,
            next_hint=next_hint,
            # The lesson's section explains what the check asks, not why nothing came up.
            link=marks.link if failed and not isinstance(failure, StartFailure) else "",
            reason=reason,
            duration_s=round(duration, 3),
        )
        self.results.append(result)
        self._session.end_check(passed=verdict == "passed")
        try:
            self._session.task.on_result(result)
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


def _name(item: pytest.Item) -> str:
    return item.name.removeprefix(PREFIX)


def _marks(item: pytest.Item) -> Marks:
    return marks_of(getattr(item, "function", None))


def _hints(marks: Marks, error: BaseException | None) -> tuple[str, str]:
    """Return the hints of what failed: a check's own speak of answers, not of builds and starts."""
    if isinstance(error, Failure) and (error.hint or isinstance(error, StartFailure)):
        return error.hint, ""
    first, second, *_ = (*marks.hints, "", "")
    return first, second


def _title(item: pytest.Item) -> str:
    text = getattr(item, "function", item).__doc__ or _name(item)
    return " ".join(text.split())
