"""Rules about what was recorded: outputs and proofs are there, and as new as what they prove."""

from collections.abc import Iterator

from coursework.authoring.audit.answers import Answer, answers_of
from coursework.authoring.audit.subject import Finding, Rule, Subject
from coursework.authoring.outputs import OUTPUTS, cells_digest, read_outputs
from coursework.authoring.proof import (
    PROOF,
    ExerciseProof,
    LessonProof,
    ProofError,
    changed,
    exercise_inputs,
    files_digest,
    lesson_inputs,
    outputs_digest,
    read_proof,
)

_NAMED = 4


def outputs_are_current(subject: Subject) -> Iterator[Finding]:
    """Find a lesson whose code was changed since its outputs were kept."""
    layout, slug = subject.layout, subject.slug
    outputs = read_outputs(layout, slug)
    file = layout.lesson(slug).with_name(OUTPUTS)
    if outputs is None:
        what = "it is missing or cannot be read: the site has nothing to show"
        yield subject.finding(file, "missing-outputs", what, command(subject))
    elif outputs.code != cells_digest(subject.lesson):
        what = "the outputs are older than the lesson"
        yield subject.finding(file, "stale-outputs", what, command(subject))


def proof_is_current(subject: Subject) -> Iterator[Finding]:
    """Find a proof that is missing, was edited, or is older than what it proves."""
    file = subject.layout.grader(subject.slug) / PROOF
    try:
        proof = read_proof(subject.layout, subject.slug)
    except ProofError as error:
        yield subject.finding(file, "edited-proof", error.what, command(subject))
        return
    if proof is None:
        yield subject.finding(file, "missing-proof", "nothing is proved", command(subject))
        return
    older = [f"lesson: {name}" for name in unproved_of_lesson(subject, proof.lesson)]
    older += unproved_of_exercise(subject, proof.exercise)
    if older:
        more = f" and {len(older) - _NAMED} more" if len(older) > _NAMED else ""
        what = f"new or changed since it was recorded: {', '.join(older[:_NAMED])}{more}"
        yield subject.finding(file, "stale-proof", what, command(subject))


RULES_OF_RECORDS: tuple[Rule, ...] = (outputs_are_current, proof_is_current)


def command(subject: Subject) -> str:
    """Return what an author types to bring outputs and proof up to date."""
    return f"course audit {subject.slug} --record"


def unproved_of_lesson(subject: Subject, proof: LessonProof | None) -> list[str]:
    """Return what of a lesson has changed since it was proved; nothing where it is proved."""
    now = lesson_inputs(subject.layout, subject.module, subject.lesson)
    if proof is None:
        return ["all of it"]
    edited = proof.outputs != outputs_digest(subject.layout, subject.slug)
    return [*changed(proof.of, now), *([OUTPUTS] if edited else [])]


def unproved_of_exercise(subject: Subject, proof: ExerciseProof | None) -> list[str]:
    """Return what of an exercise has changed since it was proved, answers by name.

    Raises:
        CourseError: the exercise cannot be derived.
    """
    now = exercise_inputs(subject.layout, subject.module)
    if proof is None:
        return ["all answers"]
    if different := changed(proof.of, now):
        return different
    answers = answers_of(subject)
    # A mistake that no longer applies is no answer now; another rule says so.
    present = {a.name for a in answers} | {f"wrong/{mistake.name}" for mistake in subject.mistakes}
    new = [answer.name for answer in answers if not is_proved(subject, answer, proof)]
    return [*new, *(f"{name} is gone" for name in sorted(set(proof.answers) - present))]


def is_proved(subject: Subject, answer: Answer, proof: ExerciseProof) -> bool:
    """Tell whether an answer came to what it must, with the files that it has now."""
    found = proof.answers.get(answer.name)
    return found is not None and found.files == built_digest(subject, answer)


def built_digest(subject: Subject, answer: Answer) -> str:
    """Return what changes when what is built of an answer does, however it is written down."""
    alone = answer.is_alone
    return files_digest(answer.files if alone else subject.solution.built(answer.files))
