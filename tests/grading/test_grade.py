"""Answers of every kind end in a report, each recorded whole in tests/grading/cases/<case>/.

A case is a folder: the answer's files, report.json and transcript.txt.
After a wanted change: RECORD=1 pytest tests/grading/test_grade.py, then read the diff.
"""

import io
import json
import os
import re
import time
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from coursework import report as report_package
from coursework.containers.building import Limits
from coursework.grading.grade import Watcher, grade, list_checks
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from coursework.report.notebook import report_html
from coursework.report.terminal import print_ending, print_result
from coursework.submissions.folder import read_folder
from coursework.trouble import CourseError
from tests.clone import own, tiny_clone

TINY = Layout(Path(__file__).parents[1] / "tiny")
CASES = Path(__file__).parent / "cases"
RECORDED = {"report.json", "transcript.txt"}
SCHEMA = json.loads((Path(report_package.__file__).parent / "schema.json").read_text("utf-8"))
MODULE = load_catalogue(TINY).find("90-tiny")


def answer(case):
    files = read_folder(CASES / case).files
    return {name: data for name, data in files.items() if name not in RECORDED}


def transcript(report):
    written = io.StringIO()
    console = Console(file=written, width=100)
    for result in report.checks:
        print_result(console, result)
    print_ending(console, report)
    return written.getvalue()


def normal(text):
    """Free a text of what differs from run to run: ports, run ids, times, logs."""
    rules = [
        (re.escape(f"{TINY.root}/"), ""),
        (r"localhost:\d{4,5}", "localhost:PORT"),
        (r"90-tiny-[0-9a-f]{8}-\d+", "90-tiny-RUN-N"),
        (r"\b\d+\.\d+ s\b", "N s"),
        (r"^  log {9}.*\n(?: {14}.*\n)*", "  log         LINES\n"),
        (r"after [\d,]+ bytes", "after N bytes"),
    ]
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def normal_report(report):
    values = report.to_json()
    values |= {"run": "00000000", "seed": 0, "timings": {}}
    for check in values["checks"]:
        check["duration_s"] = 0
        check["log"] = ""
    return json.loads(normal(json.dumps(values)))


def compare(path, text):
    if os.environ.get("RECORD"):
        path.write_text(text, "utf-8")
    assert path.is_file(), f"RECORD=1 pytest tests/grading/test_grade.py makes {path.name}"
    assert path.read_text("utf-8") == text


@pytest.mark.engine
@pytest.mark.parametrize("case", sorted(p.name for p in CASES.iterdir()))
def test_a_case_ends_in_its_recorded_report(engine, case):
    """Each answer gets the verdicts, the words and the schema that are recorded for it."""
    report = grade(MODULE, answer(case), layout=TINY, engine=engine, seed=7, keep=False)
    jsonschema.validate(report.to_json(), SCHEMA)
    assert "<script" not in report_html(report)
    compare(CASES / case / "report.json", json.dumps(normal_report(report), indent=1) + "\n")
    compare(CASES / case / "transcript.txt", normal(transcript(report)))


@pytest.mark.engine
def test_one_check_runs_with_what_it_needs(engine):
    """Asking for one check runs it and those that it needs, and no other; each is told."""
    steps: list[str] = []
    report = grade(
        MODULE, answer("right"), layout=TINY, engine=engine, only=("serves_many",),
        keep=False, watcher=Watcher(on_step=steps.append),
    )  # fmt: skip
    told = [step for step in steps if step.startswith("checking ")]
    assert told == ["checking greets", "checking serves_many"]
    assert [c.name for c in report.checks] == ["greets", "serves_many"]


@pytest.mark.engine
def test_an_unknown_check_is_our_message(engine):
    """A name that no check has is answered with the names that there are."""
    with pytest.raises(CourseError, match="no check named nope") as error:
        grade(MODULE, answer("right"), layout=TINY, engine=engine, only=("nope",))
    assert "takes_port" in error.value.why


@pytest.mark.engine
def test_a_kept_container_answers_the_command_of_the_report(engine, tmp_path):
    """The server of a failed check stays up for the learner until that check runs again."""
    import subprocess

    # Under the tiny module's own name somebody else's check would be the next one.
    layout = tiny_clone(tmp_path / "clone", own("90-kept"))
    module = load_catalogue(layout).modules[0]

    def graded(case="other_body", check="greets"):
        return grade(module, answer(case), layout=layout, engine=engine, only=(check,))

    first = graded()
    # Another check of the same answer, as a notebook's next cell asks for it.
    graded("right", "takes_port")
    seen = subprocess.run(
        ["bash", "-c", first.checks[0].command], capture_output=True, check=True, timeout=20
    )
    assert b"hell\x1b[31mo" in seen.stdout
    second = graded()
    wait_until_gone(engine, first)
    assert own_containers(engine, second)
    graded("right")
    wait_until_gone(engine, second)


def own_containers(engine, report):
    own = {"label": f"course.run={report.run}"}
    return engine.client.containers.list(all=True, sparse=True, filters=own)


def wait_until_gone(engine, report):
    """They are removed while the verdict is read already."""
    for _ in range(100):
        if not own_containers(engine, report):
            return
        time.sleep(0.1)
    raise AssertionError(own_containers(engine, report))


@pytest.mark.engine
def test_nothing_stays_after_a_passed_run(engine):
    """A run in which all passes leaves no container."""
    report = grade(MODULE, answer("right"), layout=TINY, engine=engine)
    assert report.exit_code == 0
    deadline = time.monotonic() + 10
    while own_containers(engine, report) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert own_containers(engine, report) == []


@pytest.mark.engine
def test_a_build_that_never_ends_is_stopped(engine):
    """A build over its time is the learner's failure, with the limit named."""
    files = {"Dockerfile": b"FROM python:3.13-slim\nRUN sleep 3600\n"}
    report = grade(MODULE, files, layout=TINY, engine=engine, keep=False,
                   limits=Limits(seconds=2))  # fmt: skip
    assert report.points == 0
    assert "did not end in 2 s" in report.checks[0].saw


@pytest.mark.engine
def test_a_build_that_fills_the_disk_is_stopped(engine):
    """A build over its disk space is stopped, and the space comes back."""
    files = {"Dockerfile": b"FROM python:3.13-slim\nRUN head -c 10000000000 /dev/zero > /big\n"}
    report = grade(MODULE, files, layout=TINY, engine=engine, keep=False,
                   limits=Limits(disk_bytes=300_000_000))  # fmt: skip
    assert "wrote more than 0.3 GB" in report.checks[0].saw


BUILDS_ITSELF = """

@pytest.fixture(scope="session")
def image(builder):
    return builder.build(files={"added.txt": "by the check"})
"""


@pytest.mark.engine
def test_checks_that_build_the_image_themselves_are_not_built_for(engine, tmp_path):
    """Where checks.py has a fixture `image`, nothing is built that nobody looks at."""
    import shutil

    shutil.copytree(TINY.root, tmp_path / "clone")
    layout = Layout(tmp_path / "clone")
    checks = layout.grader("90-tiny") / "checks.py"
    checks.write_text(checks.read_text("utf-8") + BUILDS_ITSELF, "utf-8")
    lines: list[str] = []
    report = grade(MODULE, answer("right"), layout=layout, engine=engine, keep=False,
                   watcher=Watcher(on_step=lines.append))  # fmt: skip
    assert report.exit_code == 0
    # A slow step's heading is repeated; that its Dockerfile was taken in is said once a build.
    assert sum(bool(re.match(r"#\d+ transferring dockerfile: .*done", line)) for line in lines) == 1


@pytest.mark.engine
def test_a_mistake_in_the_checks_is_an_error_and_no_verdict(engine, tmp_path):
    """A check that breaks is our error: no points are lost silently, and the exit code is 2."""
    import shutil

    shutil.copytree(TINY.root, tmp_path / "clone")
    layout = Layout(tmp_path / "clone")
    checks = layout.grader("90-tiny") / "checks.py"
    checks.write_text(checks.read_text("utf-8").replace("server.get(", "server.gett(", 1), "utf-8")
    report = grade(MODULE, answer("right"), layout=layout, engine=engine, keep=False,
                   only=("greets",))  # fmt: skip
    assert (report.checks[0].verdict, report.exit_code) == ("error", 2)
    assert "gett" in report.checks[0].saw


@pytest.mark.engine
def test_checks_that_cannot_be_loaded_are_our_message(engine, tmp_path):
    """A syntax error in checks.py is told to the author, never as a learner's failure."""
    import shutil

    shutil.copytree(TINY.root, tmp_path / "clone")
    layout = Layout(tmp_path / "clone")
    (layout.grader("90-tiny") / "checks.py").write_text("def check_x(:\n", "utf-8")
    with pytest.raises(CourseError, match="not your mistake"):
        grade(MODULE, answer("right"), layout=layout, engine=engine)


@pytest.mark.engine
def test_the_seed_repeats_the_random_values(engine):
    """Two runs with one seed look for the same values."""
    seen = [
        grade(MODULE, answer("hangs_up"), layout=TINY, engine=engine, keep=False, seed=seed,
              only=("echoes",)).checks[0].command
        for seed in (1, 1, 2)
    ]  # fmt: skip
    commands = [re.sub(r"localhost:\d+", "", s) for s in seen]
    assert commands[0] == commands[1] != commands[2]


def test_the_checks_are_listed_without_an_engine():
    """Names, titles and points come from the checks' file alone, in its order."""
    listed = list_checks(TINY, "90-tiny")
    assert [(c.name, c.points) for c in listed] == [
        ("greets", 3), ("takes_port", 2), ("echoes", 2), ("serves_many", 2), ("fails_loudly", 1),
    ]  # fmt: skip
    assert listed[0].title == "GET / answers hello"


def test_a_module_without_checks_is_our_message():
    """A missing checks.py names itself."""
    with pytest.raises(CourseError, match="has no checks"):
        list_checks(TINY, "91-none")
