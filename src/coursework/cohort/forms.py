"""How platforms name what was handed in: whose it is, when it came, and what it was called."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from coursework.cohort.members import Member
from coursework.trouble import CourseError

NBGRADER = "nbgrader"
BY_FILE, ASKED = "<learner>.ipynb", "--name-pattern"
CANVAS, MOODLE, BLACKBOARD, BRIGHTSPACE = "Canvas", "Moodle", "Blackboard", "Brightspace"
NOTEBOOK_NAME = re.compile(r".*\.(?:ipynb(?:\.txt|\.json)?|json)", re.DOTALL | re.IGNORECASE)
_DATES = (
    "%d %B, %Y %I%M %p", "%b %d, %Y %I%M %p", "%B %d, %Y %I%M %p",  # Brightspace
    "%Y-%m-%d-%H-%M-%S",  # Blackboard
)  # fmt: skip


@dataclass(frozen=True)
class Form:
    """A way to name what was handed in.

    Args:
        name: of the platform.
        pattern: of a whole path, with the groups `learner` and `file`, and where it has them `id`
            of the learner, `when` and `number` of the attempt, and `late` where it is marked so.
    """

    name: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Origin:
    """What the names of a source say of a submission.

    The time of a file is not in it: Canvas and Moodle write the time of the download into their
    zips, and a copy has the time of the copying.

    Args:
        form: that fitted, such as Canvas; empty where nothing is known.
        name: of the learner, as it was written.
        number: by which the platform knows the learner.
        when: it was handed in: a date and a time, in the platform's zone unless one is named.
        is_late: whether the platform marked it as late.
    """

    form: str = ""
    name: str = ""
    number: str = ""
    when: str = ""
    is_late: bool = False


@dataclass(frozen=True)
class Piece:
    """A member whose learner is known.

    Args:
        learner: as the platform names them.
        file: as the learner named it; empty for a folder.
        order: later attempts compare greater.
        member: to be read.
        origin: what its name says besides.
    """

    learner: str
    file: str
    order: tuple[str, int, float | tuple[int, ...], int]
    member: Member
    origin: Origin

    @property
    def is_notebook(self) -> bool:
        """Whether it may be one, by its name."""
        return NOTEBOOK_NAME.fullmatch(self.file) is not None

    @property
    def is_beside(self) -> bool:
        """Whether it is a file that is no notebook."""
        return bool(self.file) and not self.is_notebook and not self.member.is_folder


def _form(name: str, pattern: str) -> Form:
    return Form(name, re.compile(pattern, re.DOTALL | re.IGNORECASE))


def tree(slug: str) -> Form:
    """Return nbgrader's form for one module."""
    place = rf"(?:(?:.*?/)??submitted/)??(?P<learner>[^/]+)/{re.escape(slug)}/(?P<file>.*)"
    return _form(NBGRADER, place)


# What comes before a learner's name is as short as it can be: what follows it they may have named
# themselves, after another learner, or another day.
_FORMS = (
    # Also teams, of which the default one has no number; with or without a folder for each learner.
    _form(MOODLE, r"(?:.*?/)??(?P<learner>[^/]+?)(?:_(?P<id>\d+))?"
          r"_assignsubmission_(?:file|onlinetext)_?/?(?P<file>.*)"),
    _form(BRIGHTSPACE, r"(?:.*?/)??(?P<id>\d+)-\d+ - (?P<learner>[^/]+?) - (?P<when>[^/]+)/"
          r"(?P<file>.*)"),
    _form(BLACKBOARD, r"(?:.*/)?[^/]+?_(?P<learner>[^/_]+)_attempt_(?P<when>[\d-]+)"
          r"(?:\.txt|_(?P<file>[^/]+))"),
    _form(CANVAS, r"(?:.*/)?(?P<late>LATE_)?(?P<learner>anon_[^/_]+)_(?=\d+_|(?:text|link)\.html$)"
          r"(?:(?P<number>\d{1,20})_)?(?P<file>[^/]+)"),
    # A group's name may have underscores as well.
    _form(CANVAS, r"(?:.*/)?(?P<learner>[^/]+?)(?P<late>_LATE)?_(?P<id>\d+)_"
          r"(?=\d+_|(?:text|link)\.html$)(?:(?P<number>\d{1,20})_)?(?P<file>[^/]+)"),
    _form("ILIAS", r"(?:.*/)?(?P<learner>[^/_]+_[^/]+_\d+)/(?P<file>.*)"),
    _form(BY_FILE, r"(?P<file>(?P<learner>[^/]+?)\.ipynb(?:\.txt|\.json)?)/?"),
)  # fmt: skip


def asked_form(pattern: str) -> Form:
    """Return the form that an instructor describes by --name-pattern.

    Raises:
        CourseError: it is no regular expression, or has no group `learner`.
    """
    try:
        form = _form(ASKED, pattern)
    except re.error as error:
        why = str(error)
    else:
        if "learner" in form.pattern.groupindex:
            return form
        why = "it has no group (?P<learner>…)"
    raise CourseError(
        "--name-pattern is not understood.",
        why=why,
        fix=r"--name-pattern '(?P<learner>[^/]+)/.*[.]ipynb'",
    )


def fitting_form(members: Sequence[Member], slug: str) -> Form:
    """Return the form that fits most members; of a few that fit as many, the more special one."""
    forms = (tree(slug), *_FORMS)
    return max(forms, key=lambda form: sum(1 for m in members if form.pattern.fullmatch(m.path)))


def piece(form: Form, member: Member) -> Piece | None:
    """Return whose a member is; None where the form does not fit its path."""
    match = form.pattern.fullmatch(member.path)
    if match is None:
        return None
    groups = {name: text or "" for name, text in match.groupdict().items()}
    learner = "_".join(filter(None, (groups["learner"], groups.get("id"))))
    file = groups.get("file", member.path.rpartition("/")[2])
    copy = re.search(r"[ (_-](\d{1,9})\)?\.ipynb", file)
    when = groups.get("when", "")
    order = (
        _moment(when) or when, int(groups.get("number") or 0), member.changed,
        int(copy[1]) if copy else 0,
    )  # fmt: skip
    origin = Origin(form.name, groups["learner"], groups.get("id", ""), _moment(when),
                    bool(groups.get("late")))  # fmt: skip
    return Piece(learner, file.rstrip("/"), order, member, origin)


def _moment(when: str) -> str:
    """Return a date of a name as ISO writes it; empty where it is none that is known."""
    for form in _DATES:
        with suppress(ValueError):
            return datetime.strptime(when, form).isoformat()  # noqa: DTZ007 - it names no zone
    return ""
