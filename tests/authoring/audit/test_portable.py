"""A lesson's cells run on macOS too, and what runs in a container may be what it likes."""

import pytest

from coursework.authoring.audit import Subject
from coursework.authoring.audit.portable import shell_is_portable
from coursework.modules.catalogue import load_catalogue
from tests.authoring.conftest import ALPHA, edit

FAILS_ON_MACOS = (
    "sed -i 's/80/81/' config.ini",
    "cp config.ini old.ini && sed -n -E -i 's/80/81/' config.ini",
    "sed -Ei 's/80/81/' config.ini",
    "sed --in-place 's/80/81/' config.ini",
    "timeout 2 curl localhost:8080",
    "sleep 9 | timeout --kill-after 5 2s sh terraform.sh apply",
    "if timeout $LIMIT \\\n  sh wait.sh; then echo ready; fi",
    "echo $(timeout 2 sh wait.sh)",
    "sh -c 'timeout 2 sh wait.sh'",
    "!timeout 2 sh wait.sh",
)
RUNS_EVERYWHERE = (
    "sed -i.bak 's/80/81/' config.ini",
    "sed 's/80 -i 81/82/' config.ini > edited",
    "docker exec lantern-web sed -i 's/80/81/' config.ini",
    "docker compose exec web timeout 2 sh wait.sh",
    "docker run --rm busybox:1.37 \\\n  timeout 2 wget -q -O - http://lantern-web:3000",
    "%%writefile Dockerfile\nFROM node:24-slim\nRUN sed -i 's/80/81/' /etc/passwd",
    "    timeout client 20s",
    '    command: [sh, -c, "timeout 5 sh busy.sh"]',
    "docker stop --timeout 2 lantern-web",
)


def findings(clone, code):
    edit(clone, f"course/{ALPHA}/lesson.md", "Say what was seen", f"{in_cell(code)}\n\nSay")
    subject = Subject(clone, load_catalogue(clone).find(ALPHA))
    return [found.what for found in shell_is_portable(subject)]


def in_cell(code):
    magic = "" if code.startswith(("%%", "!")) else "%%bash\n"
    return f"```{{code-cell}} python\n{magic}{code}\n```"


@pytest.mark.parametrize("code", FAILS_ON_MACOS)
def test_a_command_that_fails_on_macos_is_found_once(clone, code):
    """The finding says what to write instead, and shows the line."""
    (what,) = findings(clone, code)
    assert "macOS" in what
    assert code.split("\\")[0].strip()[:40] in what


@pytest.mark.parametrize("code", RUNS_EVERYWHERE)
def test_what_runs_everywhere_or_in_a_container_is_left_alone(clone, code):
    """Containers have the tools of Linux, wherever the engine runs."""
    assert findings(clone, code) == []
