"""Submissions are found in many forms, nothing of them vanishes, and names become no paths."""

import json
import os
import stat
import unicodedata
import zipfile

import pytest

from coursework.cohort.source import answered_module, find_submissions, identifier, learner_name
from coursework.submissions.files import SubmissionError
from coursework.submissions.notebook import LIMIT_NOTEBOOK_BYTES
from coursework.trouble import CourseError

SLUG = "02-first-server"


def names(found):
    return [s.learner for s in found]


def test_nbgraders_tree_gives_each_learner_of_the_module(tmp_path):
    for learner, slug in (("ada", SLUG), ("bob", SLUG), ("cy", "01-http")):
        (tmp_path / learner / slug).mkdir(parents=True)
        (tmp_path / learner / slug / "exercise.ipynb").write_text(learner)
    found = find_submissions(tmp_path, SLUG).submissions
    assert names(found) == ["ada", "bob"]
    assert found[1].read() == b"bob"


def test_who_handed_in_under_another_name_is_told_and_not_lost(tmp_path):
    (tmp_path / "ada" / SLUG).mkdir(parents=True)
    (tmp_path / "ada" / SLUG / "homework.ipynb").write_text("{}")
    (submission,) = find_submissions(tmp_path, SLUG).submissions
    with pytest.raises(SubmissionError, match=r"exercise\.ipynb cannot be read"):
        submission.read()


def test_a_folder_gives_each_notebook(tmp_path):
    for learner in ("ada", "bob"):
        (tmp_path / f"{learner}.ipynb").write_text(learner)
    assert names(find_submissions(tmp_path, SLUG).submissions) == ["ada", "bob"]


@pytest.mark.parametrize(
    ("member", "learner"),
    [
        ("doejane_4711_88123_exercise.ipynb", "doejane_4711"),
        ("doejane_LATE_4711_88123_exercise-2.ipynb", "doejane_4711"),
        ("Jane Doe_4711_assignsubmission_file/exercise.ipynb", "Jane Doe_4711"),
        ("2027/Jane_4711_assignsubmission_file_/exercise.ipynb", "Jane_4711"),
        ("../../x_4711_assignsubmission_file/exercise.ipynb", "x_4711"),
    ],
)
def test_a_zip_of_an_lms_gives_each_learner(tmp_path, member, learner):
    source = tmp_path / "all.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("readme.txt", "not a submission")
        archive.writestr(member, "{}")
    (submission,) = find_submissions(source, SLUG).submissions
    assert submission.learner == learner
    assert submission.read() == b"{}"


def test_a_bomb_in_a_zip_is_read_to_the_limit_only(tmp_path):
    source = tmp_path / "all.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ada_1_2_exercise.ipynb", b"\0" * (LIMIT_NOTEBOOK_BYTES + 10**7))
    (submission,) = find_submissions(source, SLUG).submissions
    assert len(submission.read()) == LIMIT_NOTEBOOK_BYTES + 1


def test_a_link_in_a_zip_is_none_of_ours(tmp_path):
    source = tmp_path / "all.zip"
    member = zipfile.ZipInfo("ada_1_2_exercise.ipynb")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr(member, "/etc/passwd")
    (submission,) = find_submissions(source, SLUG).submissions
    with pytest.raises(SubmissionError):
        submission.read()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_not_read(tmp_path, kind):
    path = tmp_path / "ada.ipynb"
    made = {
        "link": lambda: path.symlink_to("/etc/passwd"),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }
    made[kind]()
    (submission,) = find_submissions(tmp_path, SLUG).submissions
    with pytest.raises(SubmissionError, match="cannot be read"):
        submission.read()


@pytest.mark.parametrize(
    "name", ["../../etc/cron.d/x", "a b", "ä", "\x1b[2J", "-rf", "a" * 300, ""]
)
def test_a_name_becomes_an_identifier_that_is_no_path(name):
    made = identifier(name)
    assert "/" not in made
    assert made.isascii()
    assert made.isprintable()
    assert not made.startswith((".", "-"))
    assert len(made) <= 80
    assert made != identifier(f"{name}x")


def test_a_source_without_submissions_names_the_forms(tmp_path):
    with pytest.raises(CourseError, match="Canvas"):
        find_submissions(tmp_path, SLUG)


def test_a_damaged_zip_is_told(tmp_path):
    source = tmp_path / "all.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("ada_1_2_exercise.ipynb", "{}")
    source.write_bytes(source.read_bytes()[:-30])
    with pytest.raises(CourseError):
        find_submissions(source, SLUG)


def notebook(module):
    metadata = {"coursework": {"module": module}} if module else {}
    cell = {"cell_type": "code", "source": "%%writefile server.py\n", "metadata": {}}
    return json.dumps({"nbformat": 4, "cells": [cell], "metadata": metadata})


def laid_out(folder, files, *, packed):
    """Lay files out as a zip or as a folder; give the source."""
    source = folder / ("all.zip" if packed else "all")
    if packed:
        with zipfile.ZipFile(source, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return source
    for name, content in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return source


GOOD = notebook(SLUG)
FILE = "assignsubmission_file"
BLACKBOARD = "Exercise 2_mnordling_attempt_2026-03"


@pytest.mark.parametrize("packed", [True, False], ids=["zip", "unpacked"])
@pytest.mark.parametrize(
    ("paths", "learners"),
    [
        (["nordling_5101_90311_exercise.ipynb", "team_blue_5102_90312_exercise.ipynb",
          "oneill_LATE_5103_90313_exercise.ipynb"],
         ["nordling_5101", "oneill_5103", "team_blue_5102"]),
        (["anon_kQ7xZ_90211_exercise.ipynb", "LATE_anon_b3PmT_90212_exercise-1.ipynb"],
         ["anon_b3PmT", "anon_kQ7xZ"]),
        ([f"Mira Nordling_7301_{FILE}_/exercise.ipynb",
          f"Teo Varga_7302_{FILE}_/week 2/exercise.ipynb"],
         ["Mira Nordling_7301", "Teo Varga_7302"]),
        ([f"Mira Nordling_7301_{FILE}_exercise.ipynb", f"Teo Varga_7302_{FILE}_exercise.ipynb"],
         ["Mira Nordling_7301", "Teo Varga_7302"]),
        ([f"Blue_55_{FILE}_/exercise.ipynb", f"Default group_{FILE}_/exercise.ipynb"],
         ["Blue_55", "Default group"]),
        ([f"{BLACKBOARD}-02-10-11-12.txt", f"{BLACKBOARD}-02-10-11-12_exercise.ipynb",
          "Exercise 2_tvarga_attempt_2026-03-02-12-00-00_exercise.ipynb"],
         ["mnordling", "tvarga"]),
        (["31337-90210 - Mira Nordling - 2 March, 2026 1011 AM/exercise.ipynb",
          "31338-90210 - Teo Varga - 2 March, 2026 1200 PM/exercise.ipynb", "index.html"],
         ["Mira Nordling_31337", "Teo Varga_31338"]),
        (["Nordling_Mira_mira_4711/exercise.ipynb",
          "Varga_Teo_teo_4712/exercise.ipynb"],
         ["Nordling_Mira_mira_4711", "Varga_Teo_teo_4712"]),
        ([f"submitted/nordling/{SLUG}/exercise.ipynb",
          f"submitted/o'neil, mira/{SLUG}/exercise.ipynb",
          "submitted/varga/01-http/exercise.ipynb"],
         ["nordling", "o'neil, mira"]),
        (["nordling.ipynb", "VARGA.IPYNB", "okafor.ipynb.txt", "mendes.ipynb.json"],
         ["VARGA", "mendes", "nordling", "okafor"]),
    ],
    ids=["Canvas, groups and late", "Canvas, anonymous", "Moodle, folders", "Moodle, flat",
         "Moodle, groups", "Blackboard", "Brightspace", "ILIAS", "nbgrader", "plain"],
)  # fmt: skip
def test_each_platforms_download_is_known(tmp_path, paths, learners, packed):
    """As the platform packs it, and unpacked; what systems leave beside is nothing."""
    litter = ["__MACOSX/._x.ipynb", ".DS_Store", "Thumbs.db", ".ipynb_checkpoints/a.ipynb"]
    source = laid_out(tmp_path, dict.fromkeys(paths + litter, GOOD), packed=packed)
    found = find_submissions(source, SLUG)
    assert names(found.submissions) == learners
    assert [s.read().decode() for s in found.submissions] == [GOOD] * len(learners)
    assert found.not_taken == ()
    assert answered_module(source, [SLUG]) == SLUG


@pytest.mark.parametrize(
    ("paths", "counts"),
    [
        (["ada_1_8_exercise.ipynb", "ada_1_10_exercise-1.ipynb"], 1),
        ([f"A_1_{FILE}_/exercise (1).ipynb", f"A_1_{FILE}_/exercise.ipynb"], 0),
        ([f"{BLACKBOARD}-02-10-11-12_e.ipynb", f"{BLACKBOARD}-03-09-00-00_e.ipynb"], 1),
        (["1-2 - A B - 10 March, 2026 1011 AM/e.ipynb",
          "1-2 - A B - 9 March, 2026 1011 PM/e.ipynb"], 0),
    ],
    ids=["Canvas", "Moodle", "Blackboard", "Brightspace"],
)  # fmt: skip
def test_the_newest_of_several_counts_and_the_others_are_named(tmp_path, paths, counts):
    """Nobody else waits for it."""
    files = {path: notebook(SLUG) + " " * n for n, path in enumerate(paths)}
    found = find_submissions(laid_out(tmp_path, files, packed=True), SLUG)
    (submission,) = found.submissions
    assert submission.read().decode() == files[paths[counts]]
    (told,) = found.told
    assert told.startswith(f"{submission.learner}: ")
    assert " counts, not " in told


@pytest.mark.parametrize("other", [notebook(None), notebook("01-http"), "{"])
def test_one_that_answers_the_module_counts_before_a_newer_one_that_does_not(tmp_path, other):
    """Notes, another exercise and a damaged file are no answers."""
    files = {"ada_1_1_exercise.ipynb": GOOD, "ada_1_2_notes.ipynb": other}
    found = find_submissions(laid_out(tmp_path, files, packed=True), SLUG)
    assert found.submissions[0].read().decode() == GOOD
    assert found.told == ("ada_1: ada_1_1_exercise.ipynb counts, not ada_1_2_notes.ipynb",)


def test_who_handed_in_something_else_is_a_result(tmp_path):
    """With what is there; the learner is known by the path."""
    files = {"nordling_5101_90311_exercise.ipynb": GOOD, "silva_5106_90316_exercise.zip": "PK",
             "weber_5107_90317_server.js": "x", "haddad_5109_text.html": "<p>",
             "okafor_5105_90315_exercise.ipynb.json": GOOD,
             "mendes_5108_90318_EXERCISE.IPYNB": GOOD}  # fmt: skip
    found = find_submissions(laid_out(tmp_path, files, packed=True), SLUG)
    read = {}
    for submission in found.submissions:
        try:
            read[submission.learner] = submission.read().decode() == GOOD
        except SubmissionError as error:
            read[submission.learner] = error.what.partition(":")[0], error.why
    none = "No notebook was handed in"
    assert read == {"nordling_5101": True, "okafor_5105": True, "mendes_5108": True,
                    "silva_5106": (none, "there is exercise.zip"),
                    "weber_5107": (none, "there is server.js"),
                    "haddad_5109": (none, "there is text.html")}  # fmt: skip
    assert found.told == (
        "no notebook was handed in by haddad_5109, silva_5106, weber_5107",
        "3 files that are no notebook: the notebook alone is graded",
    )


def test_an_online_text_is_a_result_too(tmp_path):
    text = "assignsubmission_onlinetext_/onlinetext.html"
    files = {
        f"Mira_7301_{FILE}_/exercise.ipynb": GOOD,
        f"Mira_7301_{text}": "",
        f"Teo_7302_{text}": "",
    }
    found = find_submissions(laid_out(tmp_path, files, packed=True), SLUG)
    assert names(found.submissions) == ["Mira_7301", "Teo_7302"]


def test_what_is_nobodys_is_named(tmp_path):
    files = {"nordling_1_2_exercise.ipynb": GOOD, "readme.txt": "", "week 2/server.js": ""}
    found = find_submissions(laid_out(tmp_path, files, packed=True), SLUG)
    assert found.not_taken == ("readme.txt", "week 2/server.js")


def test_an_unknown_form_shows_what_was_found_and_a_pattern(tmp_path):
    source = laid_out(tmp_path, {"lab-ada/e.ipynb": GOOD, "lab-bob/e.ipynb": GOOD}, packed=False)
    with pytest.raises(CourseError, match=r"2 notebooks, none .*lab-ada/e\.ipynb") as error:
        find_submissions(source, SLUG)
    assert "--name-pattern" in error.value.fix
    pattern = "lab-(?P<learner>[^/]+)/.*"
    found = find_submissions(source, SLUG, pattern)
    assert names(found.submissions) == ["ada", "bob"]
    assert found.matches == ("lab-ada/ → ada", "lab-ada/e.ipynb → ada",
                             "lab-bob/ → bob", "lab-bob/e.ipynb → bob")  # fmt: skip
    assert answered_module(source, [SLUG], pattern) == SLUG


@pytest.mark.parametrize("pattern", ["(", "[^/]+"])
def test_a_pattern_that_names_no_learner_is_refused(tmp_path, pattern):
    with pytest.raises(CourseError, match="--name-pattern is not understood"):
        find_submissions(tmp_path, SLUG, pattern)


@pytest.mark.parametrize("name", ["José Ångström", "Zoë 王小明", "o'neil, mira", "शर्\u200dमा"])
def test_one_person_is_one_learner_in_each_unicode_form(tmp_path, name):
    """A Mac's zip says the same as another's, in letters that people read."""
    for form in ("NFC", "NFD"):
        path = f"{unicodedata.normalize(form, name)}_7303_{FILE}_/exercise.ipynb"
        folder = tmp_path / form
        folder.mkdir()
        found = find_submissions(laid_out(folder, {path: GOOD}, packed=True), SLUG)
        assert names(found.submissions) == [f"{name}_7303"]


@pytest.mark.parametrize("name", ["..", "a*", "{x}", "\x1b[2J", "\u202eada", "a" * 200, ""])
def test_a_name_that_could_mislead_becomes_an_identifier(name):
    assert learner_name(name) == identifier(name)


@pytest.mark.parametrize(
    ("modules", "found"),
    [
        ([SLUG, SLUG], SLUG),
        ([SLUG, None], SLUG),
        ([SLUG, "../.."], SLUG),
        ([None], ""),
        ([], ""),
    ],
)
def test_submissions_say_which_module_they_answer(tmp_path, modules, found):
    (tmp_path / "damaged.ipynb").write_text("{")
    with zipfile.ZipFile(tmp_path / "lms.zip", "w") as archive:
        archive.writestr("readme.txt", "")
        for number, module in enumerate(modules):
            (tmp_path / f"l{number}.ipynb").write_text(notebook(module))
            archive.writestr(f"doe_{number}_1_exercise.ipynb", notebook(module))
    for source in (tmp_path, tmp_path / "lms.zip"):
        assert answered_module(source, ["01-http", SLUG]) == found
    assert answered_module(tmp_path / "nowhere", [SLUG]) == ""


def test_a_tree_says_it_by_its_folders(tmp_path):
    (tmp_path / "ada" / SLUG).mkdir(parents=True)
    (tmp_path / "other.ipynb").write_text(notebook("01-http"))
    assert answered_module(tmp_path, ["01-http", SLUG]) == SLUG
    (tmp_path / "bob" / "01-http").mkdir(parents=True)
    with pytest.raises(CourseError, match="several modules") as refused:
        answered_module(tmp_path, ["01-http", SLUG])
    assert refused.value.fix == f"course grade {tmp_path} --module 01-http"


def test_a_folder_of_several_modules_is_asked_about(tmp_path):
    for module in ("01-http", SLUG):
        (tmp_path / f"{module}.ipynb").write_text(notebook(module))
    with pytest.raises(CourseError, match="several modules"):
        answered_module(tmp_path, ["01-http", SLUG])


ATTEMPT = "Exercise 2_jdoe_attempt_2026-03-02-10-11-12_exercise.ipynb"


@pytest.mark.parametrize(
    ("member", "when", "is_late"),
    [
        (ATTEMPT, "2026-03-02T10:11:12", False),
        ("31337-90210 - Jane - 2 March, 2026 1011 PM/exercise.ipynb", "2026-03-02T22:11:00", False),
        ("31337-90210 - Jane - Mar 2, 2026 1011 AM/exercise.ipynb", "2026-03-02T10:11:00", False),
        ("doejane_LATE_4711_88123_exercise.ipynb", "", True),
        ("LATE_anon_b3PmT_90212_exercise.ipynb", "", True),
        ("doejane_4711_88123_exercise.ipynb", "", False),
        (f"Jane_7301_{FILE}_/exercise.ipynb", "", False),
        ("ada.ipynb", "", False),
    ],
)
def test_when_it_was_handed_in_is_what_the_name_says_and_no_files_time(
    tmp_path, member, when, is_late
):
    """Canvas and Moodle write the time of the download into their zips."""
    for packed in (True, False):
        source = laid_out(tmp_path, {member: GOOD}, packed=packed)
        (submission,) = find_submissions(source, SLUG).submissions
        assert (submission.origin.when, submission.origin.is_late) == (when, is_late)


def test_the_attempt_that_counts_says_when(tmp_path):
    later = ATTEMPT.replace("03-02-10", "03-04-09")
    source = laid_out(tmp_path, {ATTEMPT: GOOD, later: GOOD}, packed=True)
    (submission,) = find_submissions(source, SLUG).submissions
    assert submission.origin.when == "2026-03-04T09:11:12"


def test_nbgraders_timestamp_says_when_and_is_no_file_of_an_answer(tmp_path):
    files = {f"ada/{SLUG}/exercise.ipynb": GOOD, f"bob/{SLUG}/exercise.ipynb": GOOD,
             f"ada/{SLUG}/timestamp.txt": "2026-03-02 22:59:00.123456 UTC\n",
             f"cy/{SLUG}/timestamp.txt": "2026-03-02 22:59:00"}  # fmt: skip
    found = find_submissions(laid_out(tmp_path, files, packed=False), SLUG)
    assert {s.learner: s.origin.when for s in found.submissions} == {
        "ada": "2026-03-02 22:59:00.123456 UTC", "bob": "", "cy": "2026-03-02 22:59:00 UTC"
    }  # fmt: skip
    assert found.told == ("no notebook was handed in by cy",)


@pytest.mark.parametrize(
    "member",
    [
        f"ada/{SLUG}/submitted/bob/{SLUG}/exercise.ipynb",
        f"submitted/ada/{SLUG}/submitted/bob/{SLUG}/exercise.ipynb",
        f"ada_1_{FILE}_/bob_2_{FILE}_/exercise.ipynb",
        f"2027/ada_1_{FILE}_/bob_2_{FILE}_/exercise.ipynb",
        "Task_ada_attempt_2026-03-02-10-11-12_x_bob_attempt_2026-01-01-00-00-00_exercise.ipynb",
        "1-9 - ada - 2 March, 2026 1011 PM/2-9 - bob - 1 March, 2026 1011 PM/exercise.ipynb",
    ],
)
def test_nobody_hands_in_for_another_learner_or_for_another_day(tmp_path, member):
    """Learners name what is in their folder, and Blackboard appends what they named it."""
    (submission,) = find_submissions(
        laid_out(tmp_path, {member: GOOD}, packed=True), SLUG
    ).submissions
    assert submission.origin.name == "ada"
    assert submission.origin.when in (
        "", "2026-03-02T10:11:12", "2026-03-02T22:11:00"
    )  # fmt: skip


def test_a_term_of_a_large_class_is_not_too_much(tmp_path):
    """A module's submissions to nbgrader lie among those to all others."""
    source = tmp_path / "all.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr(f"ada/{SLUG}/exercise.ipynb", "{}")
        for number in range(20_001):
            archive.writestr(f"l{number}/01-http/exercise.ipynb", "")
    assert names(find_submissions(source, SLUG).submissions) == ["ada"]


def test_names_without_latin_letters_stay_apart():
    marks = {identifier(f"{chr(0x4E00 + n // 200)}{chr(0x4E00 + n % 200)}") for n in range(40_000)}
    assert len(marks) == 40_000
