import hashlib
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Failure,
    Finished,
    Image,
    Meanwhile,
    Random,
    Reply,
    Server,
    Start,
    StartFailure,
    Story,
    advising,
    at_once,
    eventually,
    fail,
    points,
)

# No server can listen on it, so one that says it does has printed its line too early.
IMPOSSIBLE_PORT = 99_999
CODES_AT_ONCE = 12
# The codes of this many names are computed here; of the others, only the form is checked.
CODES_COMPUTED = 5
CODE = re.compile(r'"code"\s*:\s*"[0-9a-f]{64}"')
ANSWER_WITHIN_S = 0.3
# Of the time for all codes: threads on two cores cost a quarter, a blocked loop at least half.
ANSWER_WITHIN_SHARE = 1 / 3
# A busy machine may hold up any server once; a blocked event loop is late each time.
RUSHES = 3
# Three times what the contract says: this check is about who waits, not about fast codes.
CODE_WITHIN_S = 60.0
ASK_EVERY_S = 0.05
END_WITHIN_S = 5.0
MOST_LINES = 3
# This show and the one before it start at the same time.
TIED = 5

Show = dict[str, Any]


@pytest.fixture(scope="session")
def shows(random: Random) -> list[Show]:
    """Eight shows with four different titles, the earliest first, two at the same time."""
    titles = [f"{random.word()} {random.text(4)}" for _ in range(4)]
    first = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(days=random.integer(1, 300))
    begins = [first + timedelta(minutes=9000 * n + random.integer(0, 8999)) for n in range(8)]
    begins[TIED] = begins[TIED - 1]
    return [
        {
            "id": 10 * random.integer(1, 999) + n,
            "title": titles[n % 4],
            "starts_at": begin.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "price_cents": random.integer(1001, 9999),
        }
        for n, begin in enumerate(begins)
    ]


@pytest.fixture(scope="session")
def file(random: Random, shows: list[Show]) -> str:
    """The same shows in random order, as the text of a file."""
    return json.dumps(random.shuffled(shows), ensure_ascii=False, indent=2)


@pytest.fixture(scope="session")
def place(random: Random) -> str:
    """Where the file is, which cannot be hard-coded."""
    return f"/{random.word()}/{random.word()}.json"


@pytest.fixture(scope="module")
def server(image: Image, place: str, file: str) -> Server:
    """A server on its default port."""
    return image.start(env={"SHOWS_FILE": place}, files={place: file})


@pytest.fixture(scope="module")
def empty_server(image: Image, place: str) -> Server:
    """A server without any shows."""
    return image.start(env={"SHOWS_FILE": place}, files={place: "[]"})


@pytest.fixture(scope="session")
def port(random: Random) -> int:
    """A port that cannot be hard-coded."""
    return random.port()


@pytest.fixture(scope="module")
def moved_server(image: Image, place: str, file: str, port: int) -> Server:
    """A server that was given another port."""
    env = {"PORT": str(port), "SHOWS_FILE": place}
    return image.start(env=env, files={place: file}, port=port)


@pytest.fixture(scope="module")
def printed_without_port(image: Image, place: str, file: str, meanwhile: Meanwhile) -> Story[str]:
    """The standard output of a server that cannot listen on the port it was given."""
    return meanwhile(lambda: run_without_port(image, place, file))


def run_without_port(image: Image, place: str, file: str) -> str:
    """Run a server that cannot listen on its port; return what it prints before it ends."""
    env = {"PORT": str(IMPOSSIBLE_PORT), "SHOWS_FILE": place}
    try:
        return image.run(env=env, files={place: file}, within_s=END_WITHIN_S).stdout
    except StartFailure:
        raise
    except Failure:
        # It may try again, or listen on another port: the contract doesn't say that it must end.
        return ""


@points(
    2,
    hints=(
        (
            "Compare status, Content-Type and body of your reply with the contract, "
            "character by character."
        ),
        (
            "Express: res.json(value) writes the text and sets the type, while "
            "res.send(text) says text/html. FastAPI: return the dict itself."
        ),
    ),
    link="Answering in JSON",
)
def check_quick_start(server: Server) -> None:
    """GET /api/users answers {"message": "Backend ready!"} as JSON"""
    server.get("/api/users").expect(200, exactly={"message": "Backend ready!"})


@points(
    2,
    hints=(
        (
            "Start your server with PORT set to something else: which port does it listen on,"
            " and what does the line in the log say, character by character?"
        ),
        (
            "Read PORT once (process.env.PORT ?? 3000 in Node, os.environ.get('PORT', '3000')"
            " in Python), use that one value for listening and for the log line, and print"
            " nothing else on that line. If no line comes from Python at all, start it with"
            " python -u."
        ),
    ),
    link="Settings come from the environment",
)
def check_reads_environment(
    server: Server, moved_server: Server, port: int, printed_without_port: Story[str]
) -> None:
    """The server listens on the port in PORT, or else on 3000, and says so in its log"""
    expect_line(moved_server, port)
    expect_line(server, 3000)
    line = line_with(IMPOSSIBLE_PORT)
    if line in printed_without_port.result().splitlines():
        fail(
            f"no line {line!r}, because no server can listen on that port",
            line,
            hint="Print the line once your server listens: in the callback of listen in Node, or "
            "after startup() in a subclass of uvicorn.Server. FastAPI's own start-up hooks run "
            "before it listens.",
        )


def line_with(port: int) -> str:
    """Return the line that tells the port."""
    return f"Server running on port {port}"


def expect_line(server: Server, port: int) -> None:
    """Expect that a server answers, and that its line comes on standard output."""
    server.get("/api/users").expect(200)
    server.wait_for_log(line_with(port))
    # A logger's own line may have come first.
    eventually(lambda: expect_exactly(server, line_with(port)), within_s=1)


def expect_exactly(server: Server, line: str) -> None:
    """Expect a line with nothing else on it, on standard output."""
    if line not in server.logs().splitlines():
        fail(f"a line of the log that is exactly {line!r}", "further text on that line")
    if line not in server.container.log(stderr=False).splitlines():
        fail(f"{line!r} on standard output", "it's on standard error")


@points(
    2,
    hints=(
        (
            "Compare your reply with the file named by SHOWS_FILE, which contains other shows"
            " each time: are all of them there, with their fields unchanged, and does the"
            " earliest come first? Some start at the same time, and the list is asked for twice."
        ),
        (
            "Parse the file when the server starts, and sort by starts_at: shows.sort((a, b) =>"
            " a.starts_at < b.starts_at ? -1 : 1) in JavaScript, sorted(shows, key=…) in Python."
        ),
    ),
    link="Data from a file",
)
def check_serves_the_file(server: Server, empty_server: Server, shows: list[Show]) -> None:
    """GET /api/shows lists the shows of SHOWS_FILE, the earliest first"""
    expect_shows(server, shows)
    # A list that is read only once is used up by now.
    expect_shows(server, shows)
    try:
        reply = empty_server.get("/api/shows")
    except StartFailure as failure:
        failure.looked_for += ", with an empty array of shows"
        raise
    reply.expect(200, json={"shows": []})


def expect_shows(server: Server, shows: list[Show]) -> None:
    """Expect all shows by their time; those that start together may come in any order."""
    *early, one, other = shows[: TIED + 1]
    swapped = [*early, other, one, *shows[TIED + 1 :]]
    reply = server.get("/api/shows")
    try:
        reply.expect(200, json={"shows": swapped})
    except Failure:
        reply.expect(200, json={"shows": shows})


@points(
    3,
    hints=(
        (
            "Does a request without a name, or with an empty one, get 400 and name_required? If"
            " so, look at what your server does during a computation: does it hold up everybody"
            " else, because it runs on the event loop?"
        ),
        (
            "Node: await promisify(crypto.scrypt)(…) instead of scryptSync. Python: a "
            "plain def endpoint, or asyncio.to_thread(hashlib.scrypt, …)."
        ),
    ),
    link="Move the hash off the event loop",
)
def check_stays_responsive(server: Server, random: Random) -> None:
    """While 12 codes are computed, GET /api/users keeps answering, and the codes are right"""
    for path in ("/api/ticket-code", "/api/ticket-code?name="):
        server.get(path).expect(400, json={"error": "name_required"})
    names, asked, answers = eventually(lambda: quick_rush(server, random), attempts=RUSHES)
    computed = names[:CODES_COMPUTED]
    with ThreadPoolExecutor(2) as pool:
        codes = dict(zip(computed, pool.map(ticket_code, computed), strict=True))
    with advising(
        "The greetings came in time, but a code is wrong. If the status is 500, set maxmem. If "
        "not, compare the code of ada first, then look at decoding, spaces, salt and digits."
    ):
        for answer, name in zip(answers, asked, strict=True):
            expect_code(answer, name, codes.get(name))
        if len({answer.text for answer in answers}) < len(answers):
            fail("a different code for each name", "the same for two", command=CHECK_AGAIN)


def expect_code(answer: Reply, name: str, code: str | None) -> None:
    """Expect a name's code or, where it wasn't computed, the form of a code."""
    try:
        if code:
            answer.expect(200, json={"code": code})
        elif not CODE.search(answer.expect(200, type="application/json").text):
            answer.fail('{"code": "<64 hexadecimal digits>"}')
    except Failure as failure:
        failure.looked_for += f", the code of the name {name!a}"
        raise


def quick_rush(server: Server, random: Random) -> tuple[list[str], list[str], list[Reply]]:
    """Ask for codes, expect quick greetings; return names, their random order and answers."""
    # Blanks belong to a name, and an accent may be a separate character.
    forms = [
        f"{random.text(3)} & {random.word()}+%41",
        f" {random.word().title()} ",
        f"{random.word()} e\u0301",
        " " * random.integer(1, 99),
    ]
    # All differ, so that no code can be taken from another request.
    names = [*forms, *random.words(CODES_AT_ONCE - len(forms))]
    asked = random.shuffled(names)
    answers, greetings = rush(server, asked)
    slowest_s = max(reply.elapsed_s for reply in greetings)
    computing_s = max(reply.elapsed_s for reply in answers)
    limit_s = max(ANSWER_WITHIN_S, computing_s * ANSWER_WITHIN_SHARE)
    if slowest_s >= limit_s:
        fail(
            f"an answer in {limit_s * 1000:.0f} ms while {CODES_AT_ONCE} codes are computed",
            f"an answer after {slowest_s * 1000:.0f} ms, in each of {RUSHES} attempts",
            command=retype_rush(server.port),
        )
    return names, asked, answers


def rush(server: Server, names: list[str]) -> tuple[list[Reply], list[Reply]]:
    """Ask for all codes at once; return them and the greetings answered meanwhile."""
    with at_once(lambda name: ask_for_code(server, name), names) as crowd:
        greetings = [ask_for_users(server)]
        while crowd.busy:
            # Asking without a pause would take the processor that the codes need.
            time.sleep(ASK_EVERY_S)
            greetings.append(ask_for_users(server))
    return crowd.results(), greetings


def retype_rush(port: int) -> str:
    """Return the line that makes the same rush in a terminal."""
    url = f"http://localhost:{port}/api"
    code = f"curl -s -o /dev/null '{url}/ticket-code?name='$n"
    return f"for n in $(seq {CODES_AT_ONCE}); do {code} & done; time curl -i {url}/users; wait"


def ticket_code(name: str) -> str:
    """Return the code the contract asks for."""
    return hashlib.scrypt(
        name.encode(), salt=b"lantern", n=32768, r=8, p=1, dklen=32, maxmem=64 * 1024 * 1024
    ).hex()


def ask_for_code(server: Server, name: str) -> Reply:
    """Ask for a name's code, and wait as long as is reasonable."""
    return server.get(f"/api/ticket-code?name={quote(name, safe='')}", timeout_s=CODE_WITHIN_S)


def ask_for_users(server: Server) -> Reply:
    """Ask for the greeting, with enough time to measure how late it comes."""
    return server.get("/api/users", timeout_s=CODE_WITHIN_S).expect(200)


@points(
    1,
    hints=(
        (
            "Start your image without SHOWS_FILE, and with a broken file: what does it print,"
            " and which exit code does it end with?"
        ),
        (
            "Before you listen, read the file and check the type of all four fields of every"
            " show; if anything is wrong, print one line naming SHOWS_FILE to stderr and exit"
            " with code 1."
        ),
    ),
    link="Fail at the start, and say why",
)
def check_fails_loudly(
    image: Image, file: str, shows: list[Show], random: Random, meanwhile: Meanwhile
) -> None:
    """Without good data the server does not start, and says why in one line"""
    # One case alone: if the server starts anyway, this case reports it, and no other is tried.
    alone = meanwhile(lambda: expect_refusal(image, "no SHOWS_FILE", Start()))
    starts = bad_starts(broken_files(file, shows), random)
    ends = image.run_each(list(starts.values()), within_s=END_WITHIN_S)
    alone.result()
    for (case, start), end in zip(starts.items(), ends, strict=True):
        if end is None or what_is_wrong(end):
            expect_refusal(image, case, start)


def bad_starts(files: dict[str, str], random: Random) -> dict[str, Start]:
    """Return starts whose SHOWS_FILE holds no valid shows, by what is wrong with it."""
    missing = f"/{random.word()}/{random.word()}.json"
    starts = {"no such file": Start({"SHOWS_FILE": missing})}
    for case, text in files.items():
        place = f"/{random.word()}/{random.word()}.json"
        starts[case] = Start({"SHOWS_FILE": place}, {place: text})
    return starts


def broken_files(file: str, shows: list[Show]) -> dict[str, str]:
    """Return files no server should start with, by what is wrong with them."""
    first, *others = shows
    values: dict[str, object] = {
        f"a show without {name}": [*others, {k: v for k, v in first.items() if k != name}]
        for name in first
    }
    values |= {
        "an object instead of an array": {"shows": shows},
        "an empty object instead of an array": {},
        "null among the shows": [*others, None],
        "an id that is a string": [*others, {**first, "id": "7"}],
        "an id that is no integer": [*others, {**first, "id": 7.5}],
        "an id that is true": [*others, {**first, "id": True}],
        "a title that is null": [*others, {**first, "title": None}],
        "a starts_at that is a number": [*others, {**first, "starts_at": 20270301}],
        "a price_cents that is a string": [*others, {**first, "price_cents": "2500"}],
        "a price_cents that is no integer": [*others, {**first, "price_cents": 25.5}],
    }
    return {"a file cut off": file[:-20]} | {name: json.dumps(v) for name, v in values.items()}


def expect_refusal(image: Image, case: str, start: Start) -> None:
    """Start a server, and compare how it ended with what the contract asks."""
    try:
        end = image.run(env=start.env, files=start.files, within_s=END_WITHIN_S)
    except Failure as failure:
        failure.looked_for += f" with {case}"
        raise
    if wrong := what_is_wrong(end):
        looked_for, seen = wrong
        fail(f"{looked_for} with {case}", seen)


def what_is_wrong(end: Finished) -> tuple[str, str] | None:
    """Return what was looked for in how a server ended and what was seen; None if all is well."""
    lines = [line for line in end.stderr.splitlines() if line.strip()]
    if end.exit_code == 0:
        return "an exit code that is not 0", "exit code 0"
    if not any("SHOWS_FILE" in line for line in lines):
        seen = f"{len(lines)} lines, the last: {lines[-1][:120]!r}" if lines else "nothing"
        return "one line on standard error with SHOWS_FILE in it,", seen
    if len(lines) > MOST_LINES:
        seen = f"{len(lines)} lines, the first: {lines[0][:120]!r}"
        return f"at most {MOST_LINES} lines on standard error", seen
    if "Server running on port" in end.stdout:
        return "no word of a running server", "Server running on port"
    return None
