"""Proving a module and recording it: only what is new or changed is proved again."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from coursework.authoring.audit.answers import answers_of
from coursework.authoring.audit.lessons import audit_lesson
from coursework.authoring.audit.proved import (
    built_digest,
    is_proved,
    unproved_of_exercise,
    unproved_of_lesson,
)
from coursework.authoring.audit.running import Graded, grade_answers
from coursework.authoring.audit.subject import Finding, Subject
from coursework.authoring.outputs import write_outputs
from coursework.authoring.proof import (
    AnswerProof,
    ExerciseProof,
    LessonProof,
    Proof,
    ProofError,
    changed,
    exercise_inputs,
    lesson_inputs,
    outputs_digest,
    read_proof,
    write_proof,
)
from coursework.checks.verdict import Report
from coursework.engine import Engine

Tell = Callable[[str], None]


class Recorder:
    """Proves one module and writes what holds: what was proved stays so if the rest is stopped.

    Args:
        subject: the module.
        everything: prove again what is proved already.
    """

    def __init__(self, subject: Subject, *, everything: bool) -> None:
        self._subject = subject
        self._proof = Proof() if everything else _trusted(subject)
        self.took: dict[str, float] = {}

    def is_whole(self) -> bool:
        """Tell whether nothing is left to prove."""
        lesson = unproved_of_lesson(self._subject, self._proof.lesson)
        return not lesson and not unproved_of_exercise(self._subject, self._proof.exercise)

    def lesson(self, engine: Engine, tell: Tell) -> Iterator[Finding]:
        """Run the lesson if it is not proved, and keep its outputs."""
        subject = self._subject
        layout, slug = subject.layout, subject.slug
        if not unproved_of_lesson(subject, self._proof.lesson):
            return
        tell(f"{slug} lesson, all cells in a fresh kernel")
        inputs = lesson_inputs(layout, subject.module, subject.lesson)
        start = time.monotonic()
        done = audit_lesson(subject, engine, tell)
        if done.findings:
            yield from done.findings
            return
        write_outputs(layout, slug, subject.lesson, done.shown)
        seconds = round(time.monotonic() - start, 1)
        self.took[f"{slug} lesson"] = seconds
        proved = LessonProof(inputs, outputs_digest(layout, slug), seconds)
        self._write(replace(self._proof, lesson=proved))

    def exercise(self, *, jobs: int, repeat: int, tell: Tell) -> Iterator[Finding]:
        """Grade each answer that is not proved.

        Raises:
            CourseError: the exercise cannot be derived.
        """
        subject = self._subject
        inputs = exercise_inputs(subject.layout, subject.module)
        answers = answers_of(subject)
        old = self._proof.exercise
        if old is None or changed(old.of, inputs):
            old = ExerciseProof(inputs)
        kept = {a.name: old.answers[a.name] for a in answers if is_proved(subject, a, old)}
        self._write(replace(self._proof, exercise=replace(old, answers=dict(kept))))
        left = [(subject, answer) for answer in answers if answer.name not in kept]
        for graded in grade_answers(left, jobs=jobs, repeat=repeat, tell=tell):
            self.took[f"{subject.slug} {graded.answer.name}"] = graded.seconds
            if found := list(graded.findings()):
                yield from found
                continue
            kept[graded.answer.name] = _proved(graded)
            self._write(replace(self._proof, exercise=replace(old, answers=dict(kept))))

    def _write(self, proof: Proof) -> None:
        if proof != self._proof:
            self._proof = proof
            write_proof(self._subject.layout, self._subject.slug, proof)


def _trusted(subject: Subject) -> Proof:
    """Return what was recorded; a proof that was edited proves nothing."""
    try:
        return read_proof(subject.layout, subject.slug) or Proof()
    except ProofError:
        return Proof()


def _proved(graded: Graded) -> AnswerProof:
    report = next(o for o in graded.outcomes if isinstance(o, Report))
    verdicts = {result.name: result.verdict for result in report.checks}
    seconds = round(report.timings["total_s"], 1)
    return AnswerProof(built_digest(graded.subject, graded.answer), verdicts, seconds)
