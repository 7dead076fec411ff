"""Files that an answer meant, and that the build cannot find under their names."""

import json
import re
from collections.abc import Iterator, Mapping

_DOCKERFILE = "Dockerfile"
_STARTS = re.compile(r"^\s*(?:CMD|ENTRYPOINT)\s+(\[.*\])\s*$", re.MULTILINE | re.IGNORECASE)
_FILE = re.compile(r"[\w-][\w./-]*\.\w+")


def missed_files(files: Mapping[str, bytes], laid: Mapping[str, bytes]) -> Iterator[str]:
    """Say which file is called nearly as it must be, and which is started and not there.

    Args:
        files: of the answer, by relative path.
        laid: the folder that is built, starter and given files with it.
    """
    given = laid.get(_DOCKERFILE, b"") if _DOCKERFILE not in files else b""
    if _DOCKERFILE not in files:
        for name in files:
            if name.lower() in ("dockerfile", "dockerfile.txt"):
                built = "the given one was built" if given else "docker does not read it"
                yield f"{name} is not Dockerfile: {built}. Give it that name."
    for word in started_files(given.decode(errors="replace")):
        if word not in laid:
            yield f"there is no {word}, which the given Dockerfile starts."


def started_files(dockerfile: str) -> list[str]:
    """Return the files that the last CMD or ENTRYPOINT of a Dockerfile names."""
    try:
        words = [w for found in _STARTS.findall(dockerfile)[-1:] for w in json.loads(found)]
    except ValueError:
        return []
    return [word for word in words if isinstance(word, str) and _FILE.fullmatch(word)]
