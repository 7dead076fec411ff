"""The cause of a failure is found in logs as real runtimes and package managers write them."""

import pytest

from coursework.checks.cause import cause_of, line_ending_hint, silent_end_hint

NODE_FRAMES = "".join(
    f"    at ModuleLoader.step{n} (node:internal/modules/esm/loader:{n}:17)\n" for n in range(9)
)
SYNTAX = f"""file:///app/server.js:19
  }}
  ^

SyntaxError: Unexpected token '}}'
{NODE_FRAMES}
Node.js v24.19.0
"""
MISSING_FILE = f"""node:internal/modules/cjs/loader:1368
  throw err;
  ^

Error: Cannot find module '/app/server.js'
{NODE_FRAMES}  code: 'MODULE_NOT_FOUND',
  requireStack: []
}}

Node.js v24.19.0
"""
MISSING_PACKAGE = f"""node:internal/modules/package_json_reader:301
  throw new ERR_MODULE_NOT_FOUND(packageName, fileURLToPath(base), null);
        ^

Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'cors' imported from /app/server.js
{NODE_FRAMES}{{
  code: 'ERR_MODULE_NOT_FOUND'
}}
Node.js v24.19.0
"""
OUT_OF_STEP = """npm error code EUSAGE
npm error
npm error `npm ci` can only install packages when package.json and package-lock.json are in sync.
npm error
npm error Missing: cors@2.8.5 from lock file
npm error
npm error Clean install a project
npm error
npm error Usage:
npm error npm ci
npm error
npm error Options:
npm error [--install-strategy <hoisted|nested|shallow|linked>] [--legacy-bundling]
npm error
npm error aliases: clean-install, ic, install-clean, isntall-clean
npm error
npm error Run "npm help ci" for more info
npm error A complete log of this run can be found in: /opt/npm-cache/_logs/debug-0.log
ERROR: executor failed running [/bin/sh -c npm ci]: exit code: 1
"""
NOT_THERE = """npm error code E404
npm error 404 Not Found - GET http://localhost:1/expres - not found
npm error 404
npm error 404  The requested resource 'expres@^5.0.0' could not be found or is not yours.
npm error 404
npm error 404 Note that you can also install from a
npm error 404 tarball, folder, http url, or git url.
npm error A complete log of this run can be found in: /opt/npm-cache/_logs/debug-0.log
ERROR: executor failed running [/bin/sh -c npm install]: exit code: 1
"""
PYTHON = """Traceback (most recent call last):
  File "/usr/local/bin/uvicorn", line 8, in <module>
    sys.exit(main())
  File "/usr/local/lib/python3.13/site-packages/click/core.py", line 1442, in __call__
    return self.main(*args, **kwargs)
  File "/app/server.py", line 7, in <module>
    shows = json.load(open(os.environ["SHOWS_FILE"]))
KeyError: 'SHOWS_FILE'
"""


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        (SYNTAX, ["server.js:19", "SyntaxError: Unexpected token"]),
        (MISSING_FILE, ["Cannot find module '/app/server.js'"]),
        (MISSING_PACKAGE, ["Cannot find package 'cors'"]),
        (OUT_OF_STEP, ["in sync", "Missing: cors@2.8.5 from lock file"]),
        (NOT_THERE, ["'expres@^5.0.0' could not be found"]),
        (PYTHON, ['"/app/server.py", line 7', 'os.environ["SHOWS_FILE"]', "KeyError"]),
    ],
)
def test_the_cause_is_among_the_lines(log, shown):
    """What names the error and the learner's own place is shown; six lines at most."""
    text = cause_of(log)
    assert [words for words in shown if words not in text] == []
    assert len(text.splitlines()) <= 6


@pytest.mark.parametrize("log", [SYNTAX, MISSING_FILE, MISSING_PACKAGE, OUT_OF_STEP, NOT_THERE])
def test_frames_and_usage_are_left_out(log):
    """Nothing of the runtime's inside, and no advice of the package manager, takes a line."""
    text = cause_of(log)
    for noise in ("node:internal", "Node.js v", "A complete log", "aliases", "tarball"):
        assert noise not in text


def test_the_learners_own_frames_are_kept():
    """A frame in the learner's file says where."""
    log = f"TypeError: x is not a function\n    at file:///app/server.js:12:3\n{NODE_FRAMES}"
    assert cause_of(log).splitlines()[1] == "    at file:///app/server.js:12:3"


def test_a_log_without_errors_ends_as_it_ended():
    """Where nothing names an error, the last six lines are shown."""
    log = "\n".join(f"step {n}" for n in range(20))
    assert cause_of(log) == "\n".join(f"step {n}" for n in range(14, 20))


def test_an_error_of_long_ago_is_no_cause():
    """A server that has answered many requests since is shown by its last lines."""
    log = "Error: long ago\n" + "\n".join(f"GET /{n}" for n in range(100))
    assert "long ago" not in cause_of(log)


def test_a_script_with_windows_line_endings_is_named():
    """The engine says that the file is not there; the carriage return is what is not there."""
    files = {"Dockerfile": b"FROM x\r\n", "entrypoint.sh": b"#!/bin/sh\r\nexec node server.js\r\n"}
    reason = "exec /app/entrypoint.sh: no such file or directory"
    assert "entrypoint.sh ends its lines as Windows does" in line_ending_hint(reason, files)
    assert line_ending_hint("it ended with exit code 1", files) == ""
    assert line_ending_hint(reason, {"entrypoint.sh": b"#!/bin/sh\nexec node server.js\n"}) == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "server.js is empty"),
        (" \n\n", "server.js is empty"),
        ("// Your server.\n\n/* It\n * listens.\n */\n", "server.js holds only comments"),
        ("# Your server.\n", "server.js holds only comments"),
        ("import express from 'express';\n", "it printed nothing"),
    ],
)
def test_a_server_that_is_not_written_yet_is_named(text, told):
    """It ends well and prints nothing: no log says why."""
    dockerfile = b'FROM x\nCOPY . .\nCMD ["node", "server.js"]\n'
    hint = silent_end_hint({"Dockerfile": dockerfile, "server.js": text.encode()})
    assert hint.startswith(told)


def test_where_no_file_is_started_the_end_itself_is_told():
    """The Dockerfile names a program, or none that is here."""
    told = silent_end_hint({"Dockerfile": b'CMD ["node", "gone.js"]'})
    assert told.startswith("it printed nothing")
    assert silent_end_hint({"Dockerfile": b"CMD run"}) == told
