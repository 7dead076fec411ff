"""The line of a report that shows a failure again, on the machine of who reads it."""

import shlex

from coursework.checks.failure import BuildFailure, Failure
from coursework.checks.run import CheckRun


def again(run: CheckRun, name: str, failure: Failure | None, *, is_last: bool) -> str:
    """Return the command that shows a failure again.

    In an engine that is thrown away, it is typed inside; `course shell --failed` leads there.
    What a later check changes there is seen by checking again.

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
    if not command:
        return home.check_only(name)
    if not run.services.engine.is_sandbox:
        return command
    if evidence.is_fleeting and not is_last:
        return home.check_only(name)
    return f"course shell {run.task.module.slug} --failed -c {shlex.quote(command)}"
