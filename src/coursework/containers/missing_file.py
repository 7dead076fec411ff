"""A file that the Dockerfile copies, and that is not in the folder that is built."""

import re
from collections.abc import Sequence
from pathlib import Path

_ERROR = re.compile(r'#(\d+) ERROR: .*"/([^"]+)":? not found')
_COPIES = r"#{} (\[.*\] (?:COPY|ADD) .*)"
_FROM_ELSEWHERE = "--from="


def missing_file(lines: Sequence[str], context: Path) -> tuple[str, str, str] | None:
    """Tell which file a build missed: what was seen, the step, and the way out; None for none.

    Args:
        lines: of the build's log.
        context: the folder that was built.
    """
    for found in filter(None, map(_ERROR.match, lines)):
        number, name = found.groups()
        copies = re.compile(_COPIES.format(number))
        step = next((m[1] for m in map(copies.match, lines) if m), "")
        if not step or _FROM_ELSEWHERE in step:
            continue
        if (context / name).exists():
            return f".dockerignore leaves {name} out", step, "take it out of .dockerignore"
        hint = f"write it; in the notebook, run the cell that begins with %%writefile {name}"
        return f"there is no {name}", step, hint
    return None
