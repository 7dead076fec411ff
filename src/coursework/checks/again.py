"""The line of a report that shows a failure again, on the machine of who reads it."""

from coursework.checks.failure import CHECK_AGAIN, Blocked, BuildFailure, Failure
from coursework.checks.retype import quoted
from coursework.checks.run import CheckRun


def again(run: CheckRun, name: str, failure: Failure | None, *, is_last: bool) -> str:
    """Return the command that shows a failure again.

    A request that gets another reply once the check is over shows nothing: its seat is taken
    now, or its lock let go. In an engine that is thrown away, the command is typed inside;
    `course shell --failed` leads there. What a later check changes there is seen by checking again.

    Args:
        run: of the checks.
        name: of the check that failed.
        failure: that it met; None for a plain assertion.
        is_last: whether no check follows.
    """
    home, evidence = run.task.home, run.evidence
    command = evidence.command(failure)
    if isinstance(failure, BuildFailure):
        # Outside, where the learner changes the files.
        return failure.command or home.check_only(name)
    is_inside = run.services.engine.is_sandbox
    # It may be a part of a longer command.
    if not command or CHECK_AGAIN in command:
        return home.check_only(name)
    # Inside, later checks look at the same things: nothing is asked there once more.
    if is_inside and evidence.is_fleeting and not is_last:
        return home.check_only(name)
    if not _comes_again(failure):
        return home.check_only(name)
    if not is_inside:
        return command
    return f"course shell {run.task.module.slug} --failed -c {quoted(command)}"


def _comes_again(failure: Failure | None) -> bool:
    """Tell whether a request is answered as it was; what cannot be tried counts as if it were."""
    if failure is None or failure.comes_again is None:
        return True
    try:
        return failure.comes_again()
    except (Failure, Blocked):
        return False
