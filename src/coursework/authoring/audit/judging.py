"""What the gradings of an answer must come to, by its kind."""

from collections.abc import Iterator

from coursework.authoring.audit.answers import BLANK, JUNK, RIGHT, SOLUTION, WRONG, Answer
from coursework.authoring.audit.subject import Finding, Subject
from coursework.checks.points import Check
from coursework.checks.verdict import CheckResult, Report

_RULES = {SOLUTION: "solution-fails", RIGHT: "right-answer-fails",
          BLANK: "blank-passes", JUNK: "junk-passes"}  # fmt: skip


def looked_at(subject: Subject, answer: Answer, run: int) -> frozenset[str]:
    """Return the checks that one of an answer's gradings runs.

    The first runs all. Another grading of a wrong answer runs the check that it must fail, with
    those that this one needs: verdicts of the others change, if ever, with right answers too.

    Args:
        subject: the module.
        answer: of it.
        run: number of the grading, from 0.
    """
    if run and answer.kind == WRONG:
        return frozenset({answer.wrong_check, *_all_needs(subject.checks, answer.wrong_check)})
    return frozenset(check.name for check in subject.checks)


def judge(
    subject: Subject, answer: Answer, report: Report, asked: frozenset[str]
) -> Iterator[Finding]:
    """Compare the verdicts on one answer with what its kind demands.

    Args:
        subject: the module.
        answer: that was graded.
        report: of the grading.
        asked: names of the checks that it ran.
    """
    for name in sorted(asked - {result.name for result in report.checks}):
        yield of_answer(subject, answer, "grader-error", f"{name} gave no verdict")
    for result in report.checks:
        rule, what = _fault(subject, answer, result)
        if rule:
            yield of_answer(subject, answer, rule, what)


def of_answer(subject: Subject, answer: Answer, rule: str, what: str, more: str = "") -> Finding:
    """Return a finding about an answer, with the command that shows its whole report."""
    command = f"course audit {subject.slug} --only {answer.name}{more}"
    return subject.finding(answer.place, rule, f"{answer.name}: {what}", command)


def _fault(subject: Subject, answer: Answer, result: CheckResult) -> tuple[str, str]:
    verdict = result.verdict
    if verdict == "error":
        return "grader-error", f"{result.name} ended as our error: {result.saw[:200]}"
    if answer.kind == WRONG:
        return _fault_of_wrong(subject, answer.wrong_check, result)
    must_pass = answer.kind in (SOLUTION, RIGHT)
    if (verdict == "passed") == must_pass:
        return "", ""
    return _RULES[answer.kind], _told(result)


def _fault_of_wrong(subject: Subject, check: str, result: CheckResult) -> tuple[str, str]:
    if result.name == check:
        is_good = result.verdict == "failed"
        return ("", "") if is_good else ("wrong-answer-passes", _told(result))
    may_skip = check in _all_needs(subject.checks, result.name)
    if result.verdict == "passed" or (result.verdict == "skipped" and may_skip):
        return "", ""
    return "wrong-answer-fails-more", _told(result)


def _told(result: CheckResult) -> str:
    seen = f": looked for {result.looked_for}, saw {result.saw}" if result.saw else ""
    return (
        f"{result.name} {result.verdict}{seen or (': ' + result.reason if result.reason else '')}"[
            :400
        ]
    )


def _all_needs(checks: tuple[Check, ...], name: str) -> set[str]:
    """Return the checks that one needs, directly or through another."""
    needs = {check.name: check.needs for check in checks}
    found: set[str] = set()
    queue = [name]
    while queue:
        for need in needs.get(queue.pop(), ()):
            if need not in found:
                found.add(need)
                queue.append(need)
    return found


def unstable(subject: Subject, answer: Answer, reports: list[Report]) -> Iterator[Finding]:
    """Compare the verdicts of repeated gradings of one answer."""
    verdicts: dict[str, list[tuple[int, str]]] = {}
    for report in reports:
        for result in report.checks:
            verdicts.setdefault(result.name, []).append((report.seed, result.verdict))
    for name, runs in verdicts.items():
        if len({verdict for _, verdict in runs}) > 1:
            seeds = ", ".join(f"{seed} {verdict}" for seed, verdict in runs)
            what = f"{name} changes with the run (seed and verdict): {seeds}"
            yield of_answer(subject, answer, "flaky", what, f" --repeat {len(reports)}")
