"""Prepare a clone: `python3 -m coursework.setup.bootstrap`, what `make` runs before everything.

It needs no package, and is fast where nothing changed. Old Pythons read it as well, to be told.
"""

import sys
from pathlib import Path

OLDEST = (3, 11)
TROUBLE = 2


def refuse_old(version: tuple) -> str:  # type: ignore[type-arg]
    """Return what to tell an old Python; empty where it is new enough."""
    if tuple(version[:2]) >= OLDEST:
        return ""
    here = ".".join(str(number) for number in version[:3])
    return (
        f"The course needs Python {OLDEST[0]}.{OLDEST[1]} or newer; this is {here}.\n"
        "  fix   name a newer one: make PYTHON=python3.13 lab   (or install it first)"
    )


def main() -> None:
    """Prepare the clone that this file is in; exit 2 with a message where that fails."""
    if refusal := refuse_old(sys.version_info):
        sys.exit(fail(refusal))
    # An old Python could not even read these.
    from coursework.setup.environment import prepare  # noqa: PLC0415
    from coursework.trouble import CourseError  # noqa: PLC0415

    try:
        prepare(Path(__file__).resolve().parents[3])
    except CourseError as error:
        sys.exit(fail(str(error)))
    except KeyboardInterrupt:
        sys.exit(fail("Stopped. Type the command again to go on."))


def fail(message: str) -> int:
    """Say what is wrong and return the exit code for it."""
    sys.stderr.write(f"✗ {message}\n")
    return TROUBLE


if __name__ == "__main__":
    main()
