"""Rules about checks.py, and about the cells and answers that belong to its checks."""

from collections.abc import Iterator

from coursework.authoring.audit.subject import Finding, Subject, one_line
from coursework.authoring.diffs import DiffError
from coursework.authoring.mistakes import ENDING
from coursework.authoring.source import reference_files
from coursework.files import folder_files

_POINTS_OF_A_MODULE = 10
_HINTS = 2


def points_sum_to_ten(subject: Subject) -> Iterator[Finding]:
    """Find a module that is worth more or less than the others."""
    total = sum(check.points for check in subject.checks)
    if total != _POINTS_OF_A_MODULE:
        each = ", ".join(f"{check.name} {check.points}" for check in subject.checks)
        what = f"the points sum to {total}, not {_POINTS_OF_A_MODULE}: {each}"
        yield subject.finding(subject.checks_file, "points-sum", what)


def checks_speak(subject: Subject) -> Iterator[Finding]:
    """Find checks that a learner could not read: no title, no hint, no points."""
    for check in subject.checks:
        if not check.title.strip():
            what = f"check_{check.name} has none; learners read it"
            yield subject.finding(subject.checks_file, "check-without-docstring", what)
        if len(check.hints) < _HINTS:
            what = f"check_{check.name} has {len(check.hints)} of 2: where to look, nearly the code"
            yield subject.finding(subject.checks_file, "check-without-hint", what)
        if check.points < 1:
            what = f"check_{check.name} is worth nothing; decorate it with @points(2, hints=(…, …))"
            yield subject.finding(subject.checks_file, "check-without-points", what)


def needs_come_before(subject: Subject) -> Iterator[Finding]:
    """Find checks that need one which is unknown or runs later: they would always be skipped."""
    earlier: list[str] = []
    for check in subject.checks:
        for name in check.needs:
            if name not in earlier:
                what = f"check_{check.name} needs {name!r}, which is no check before it"
                yield subject.finding(subject.checks_file, "unknown-need", what)
        earlier.append(check.name)


def cells_are_the_checks(subject: Subject) -> Iterator[Finding]:
    """Find an exercise whose cells do not call each check once, in order, and all at the end."""
    source = subject.layout.solution(subject.slug)
    code = [cell for cell in subject.exercise if cell.kind == "code"]
    called = [cell.check for cell in code if cell.check]
    wanted = [check.name for check in subject.checks]
    if called != wanted:
        what = f"it calls {', '.join(called) or 'none'}; checks.py has {', '.join(wanted)}"
        yield subject.finding(source, "check-cells", what)
    if not code or not code[0].is_import:
        what = "its first code cell is not: from coursework.notebook import check, hint"
        yield subject.finding(source, "import-cell", what)
    if not code or code[-1].check != "":
        yield subject.finding(source, "closing-cell", "its last code cell is not: check()")


def checks_have_wrong_answers(subject: Subject) -> Iterator[Finding]:
    """Find checks that no wrong answer proves."""
    for check in subject.checks:
        folder = subject.layout.grader(subject.slug) / "wrong" / check.name
        has_folder = folder.is_dir() and any(p.is_dir() for p in folder.iterdir())
        if not has_folder and not any(folder.glob(f"*{ENDING}")):
            what = f"no wrong answer shows that check_{check.name} can fail"
            name = f"{check.name}/its_mistake"
            command = f"course wrong {subject.slug} {name} --into /tmp/mistake"
            yield subject.finding(folder, "check-without-wrong-answer", what, command)


def mistakes_apply(subject: Subject) -> Iterator[Finding]:
    """Find diffs that say no sentence, no longer apply, or change nothing that is built."""
    for mistake in subject.mistakes:
        if not mistake.why:
            what = "its first line does not name the mistake in one sentence"
            yield subject.finding(mistake.path, "mistake-without-sentence", what)
        try:
            what = "what is built is the solution all the same" if mistake.changes_nothing else ""
        except DiffError as error:
            what = one_line(error)
        if what:
            command = f"course wrong {subject.slug} {mistake.name} --into /tmp/mistake"
            yield subject.finding(mistake.path, "stale-mistake", what, command)


def has_right_answer(subject: Subject) -> Iterator[Finding]:
    """Find a module without a second right answer."""
    folder = subject.layout.grader(subject.slug) / "right"
    if not folder.is_dir() or not any(p.is_dir() for p in folder.iterdir()):
        what = "no answer in another language or design shows that the checks accept one"
        yield subject.finding(folder, "no-right-answer", what)


def answers_differ_from_solution(subject: Subject) -> Iterator[Finding]:
    """Find answers that change nothing of the reference solution."""
    grader = subject.layout.grader(subject.slug)
    starter = folder_files(subject.layout.starter(subject.slug))
    solution = {**starter, **reference_files(subject.exercise)}
    for folder in sorted([*grader.glob("wrong/*/*"), *grader.glob("right/*")]):
        files = {name: data for name, data in folder_files(folder).items() if name != "README.md"}
        if files and all(solution.get(name) == data for name, data in files.items()):
            yield subject.finding(folder, "same-as-solution", "its files are those of the solution")
