"""What a template's build cache is warmed with."""

from coursework.sandbox.template import build_contexts


def test_each_folder_with_a_dockerfile_is_built_once():
    """A context holds what is below its folder; answers share what they have in common."""
    web = {"web/Dockerfile": b"FROM scratch", "web/src/a.js": b"1"}
    answers = [{**web, "compose.yaml": b"one"}, {**web, "own/Dockerfile": b"FROM scratch"}]
    assert build_contexts(answers) == [
        {"Dockerfile": b"FROM scratch", "src/a.js": b"1"},
        {"Dockerfile": b"FROM scratch"},
    ]


def test_an_answer_with_a_dockerfile_of_its_own_is_built_whole():
    files = {"Dockerfile": b"FROM scratch", "given/Dockerfile.other": b"", "server.js": b""}
    assert build_contexts([files]) == [files]
