"""Workflow files are read as GitHub reads them."""

import pytest

from coursework.checks.failure import Failure
from coursework.checks.workflows import Event, all_texts, fits, read_mapping, read_workflows

MAIN, OTHER = Event("push", "refs/heads/main"), Event("push", "refs/heads/team/other")
TAG, NIGHTLY = Event("push", "refs/tags/v1.2"), Event("push", "refs/tags/nightly")
PROPOSED = Event("pull_request", "refs/heads/main", {"action": "opened"})
EVENTS = {"main": MAIN, "other": OTHER, "tag": TAG, "nightly": NIGHTLY, "proposed": PROPOSED}


@pytest.mark.parametrize(
    ("text", "started"),
    [
        ("push", "main other tag nightly"),
        ("[push, pull_request]", "main other tag nightly proposed"),
        ("{push: , workflow_call: }", "main other tag nightly"),
        ("{push: {branches: main}}", "main"),
        ("{push: {branches: [main], tags: ['v*']}}", "main tag"),
        ("{push: {tags: ['v[0-9]+.*']}}", "tag"),
        ("{push: {branches-ignore: [main]}}", "other"),
        ("{push: {tags-ignore: ['v*']}}", "nightly"),
        ("{push: {branches: ['**', '!team/**']}}", "main"),
        ("{push: {branches: ['*']}}", "main"),
        ("{push: {paths: [src/**]}}", "main other tag nightly"),
        ("{pull_request: {branches: [main]}}", "proposed"),
        ("{pull_request: {branches: [next]}}", ""),
        ("{pull_request: {types: [opened, reopened]}}", "proposed"),
        ("{pull_request: {types: [closed]}}", ""),
        ("pull_request_target", ""),
        ("7", ""),
    ],
)
def test_filters_choose_events(text, started):
    """Branches keep tags out and the other way round, and of several patterns the last decides."""
    [workflow] = read_workflows({".github/workflows/a.yml": f"on: {text}\njobs: {{}}".encode()})
    assert [name for name, event in EVENTS.items() if workflow.starts_on(event)] == started.split()


@pytest.mark.parametrize(
    ("pattern", "name", "is_fitting"),
    [
        ("main", "main", True),
        ("main", "mainly", False),
        ("release/*", "release/1", True),
        ("release/*", "release/1/a", False),
        ("**/a", "release/1/a", True),
        ("v?1", "1", True),
        ("ab+c", "abbbc", True),
        ("ab+c", "ac", False),
        ("[a-c]x", "bx", True),
        ("[a-c]x", "dx", False),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("v*.*", "v1.20", True),
        ("", "", True),
        ("*" * 199 + "b", "a" * 199, False),
        ("[", "[", True),
    ],
)
def test_patterns_fit_names(pattern, name, is_fitting):
    """GitHub's cheat sheet; a hostile pattern takes no longer."""
    assert fits(pattern, name) is is_fitting


def test_only_files_of_the_folder_are_workflows():
    """Those in folders below it, and other files, are none."""
    files = {
        ".github/workflows/b.yaml": b"on: push",
        ".github/workflows/a.yml": b"on: push",
        ".github/workflows/old/c.yml": b"on: push",
        ".github/workflows/notes.md": b"on: push",
        "ci.yml": b"on: push",
    }
    assert [w.path[-6:] for w in read_workflows(files)] == ["/a.yml", "b.yaml"]


@pytest.mark.parametrize(
    "data",
    [b"a: [", b"\xff", b"[" * 5000, b"- a", b"", b"a: *y", b"a: &x [*x]", b"a: 1\n" * 20_000],
)
def test_what_is_no_workflow_is_the_answers_failure(data):
    """Whatever is wrong with it, the failure names the file."""
    with pytest.raises(Failure, match=r"ci\.yml"):
        read_mapping("ci.yml", data)


def test_odd_shapes_are_nothing():
    """A list where a mapping belongs has no jobs and no events."""
    [workflow] = read_workflows({".github/workflows/a.yml": b"on: [[], 1]\njobs: [a]"})
    assert (workflow.jobs, list(workflow.triggers)) == ({}, ["1"])


def test_texts_are_found_once_however_often_they_are_referred_to():
    """Aliases of aliases come to an end."""
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]" for n in range(1, 30))]
    content = read_mapping("a.yml", "\n".join(lines).encode())
    assert list(all_texts(content)).count("x") == 1
