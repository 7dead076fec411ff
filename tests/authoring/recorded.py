"""A module that counts as proved, without an hour of gradings."""

from coursework.authoring.audit import Subject
from coursework.authoring.audit.answers import answers_of
from coursework.authoring.audit.proved import built_digest
from coursework.authoring.outputs import write_outputs
from coursework.authoring.proof import (
    AnswerProof,
    ExerciseProof,
    LessonProof,
    Proof,
    exercise_inputs,
    lesson_inputs,
    outputs_digest,
    write_proof,
)
from coursework.modules.catalogue import load_catalogue


def record(layout, slug):
    """Write outputs and proof of a module as they would be if all of it held."""
    module = load_catalogue(layout).find(slug)
    subject = Subject(layout, module)
    code = [cell for cell in subject.lesson if cell.kind == "code"]
    write_outputs(layout, slug, subject.lesson, [("printed\n",)] * len(code))
    lesson = lesson_inputs(layout, module, subject.lesson)
    verdicts = {check.name: "passed" for check in subject.checks}
    answers = {
        answer.name: AnswerProof(built_digest(subject, answer), verdicts, 1.5)
        for answer in answers_of(subject)
    }
    proof = Proof(
        LessonProof(lesson, outputs_digest(layout, slug), 2.5),
        ExerciseProof(exercise_inputs(layout, module), answers),
    )
    write_proof(layout, slug, proof)
    return proof
