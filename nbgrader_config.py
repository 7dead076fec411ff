"""nbgrader's settings: `nbgrader autograde 02-first-server` grades in containers.

How to work with it: site/instructors.md.
"""

from pathlib import Path

from coursework.nbgrading.configuration import configure

configure(get_config(), Path(__file__).parent)  # noqa: F821 - nbgrader brings it
