import base64
import binascii
import hashlib
import hmac
import itertools
import json
import re
import shlex
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import bcrypt
import pytest
from argon2.low_level import Type, hash_secret_raw

from coursework.checks import (
    CHECK_AGAIN,
    Image,
    Meanwhile,
    Random,
    Reply,
    Server,
    Store,
    Story,
    at_once,
    eventually,
    fail,
    points,
)

RIVALS = 6
# A hash is slow on purpose, and on a busy machine it is slower.
PATIENCE_S = 20.0
# A server that hashes one password at a time lets the last of a crowd wait for all the others.
CROWD_PATIENCE_S = 60.0
# Redis ends the pause by itself after this long, even if the check is interrupted.
PAUSE_MS = 5000
SID_LENGTH = 20
# Values drawn from 64, or even from 16, letters agree in few places; a counter agrees in most.
SID_DIFFERS = 12
BRIEF_TTL_S = 4
BRIEF_TOKEN_S = 3
EARLIEST_S, LATEST_S = 1, 2
ROUNDS, BATCHES = 5, 3
AT_MOST_TIMES = 2
MIB = 1024 * 1024
LIMIT_MEMORY = 256 * MIB

NOT_SIGNED_IN = {"error": "not_signed_in"}
BAD_CREDENTIALS = {"error": "bad_credentials"}
# Each reads all that a key of its type holds.
READ = {
    "string": ("GET",),
    "hash": ("HGETALL",),
    "set": ("SMEMBERS",),
    "list": ("LRANGE", "0", "-1"),
    "zset": ("ZRANGE", "0", "-1"),
    "stream": ("XRANGE", "-", "+"),
}
STANDARD_BASE64 = str.maketrans("-_", "+/")


@dataclass(frozen=True)
class Person:
    """Somebody with an account."""

    name: str
    password: str


@dataclass(frozen=True)
class Cookie:
    """A cookie as a reply sets it, with its attributes by lower-case name."""

    value: str
    attributes: dict[str, str]


class BoxOffice:
    """A server of the answer, asked as customers and programs ask it."""

    def __init__(self, server: Server, random: Random) -> None:
        self.server = server
        self.random = random

    def new_password(self) -> str:
        """Return a password that equals no other one."""
        first, *more = self.random.words(6)
        return f"{first.title()} {' '.join(more)} {self.random.integer(100, 999)}ž"

    def new_person(self, password: str = "") -> Person:
        """Register somebody."""
        person = Person(self.random.word(), password or self.new_password())
        self.register(person).expect(201)
        return person

    def register(self, person: Person, **more: object) -> Reply:
        """Ask for an account."""
        return self._send("register", {"user": person.name, "password": person.password, **more})

    def compete(self, person: Person) -> Reply:
        """Ask for an account whose name others want at the same time."""
        wanted = {"user": person.name, "password": person.password}
        return self._send("register", wanted, patience_s=CROWD_PATIENCE_S)

    def login(self, person: Person, *, sid: str = "", **more: object) -> Reply:
        """Ask for a session, with a cookie that is there already."""
        wanted = {"user": person.name, "password": person.password, **more}
        return self._send("login", wanted, sid)

    def log_in(self, person: Person, *, sid: str = "", **more: object) -> str:
        """Begin a session; return the value of its cookie."""
        reply = self.login(person, sid=sid, **more).expect(204)
        cookie = cookie_of(reply)
        if cookie is None:
            reply.fail("204 with Set-Cookie: sid=…", f"{reply.status}; Set-Cookie: {set_by(reply)}")
        return cookie.value

    def me(self, sid: str, *, among_others: bool = False) -> Reply:
        """Ask who the owner of a cookie is, perhaps with other cookies before and behind it."""
        cookies = f"lastsid=c2lkPQ; sid={sid}; theme=dark" if among_others else f"sid={sid}"
        return self.server.get("/api/me", headers={"Cookie": cookies})

    def me_by(self, token: str) -> Reply:
        """Ask who the owner of a token is."""
        return self.server.get("/api/me", headers={"Authorization": f"Bearer {token}"})

    def logout(self, sid: str) -> Reply:
        """Ask for the end of a session."""
        return self._send("logout", None, sid)

    def change(self, sid: str, old: str, new: str, **more: object) -> Reply:
        """Ask for another password."""
        return self._send("password", {"old": old, "new": new, **more}, sid)

    def ask_token(self, person: Person, **more: object) -> Reply:
        """Ask for a token."""
        return self._send("token", {"user": person.name, "password": person.password, **more})

    def token(self, person: Person, **more: object) -> str:
        """Return a new token."""
        reply = self.ask_token(person, **more).expect(200, json={})
        value = reply.json()
        token = value.get("access_token") if isinstance(value, dict) else None
        if not isinstance(token, str):
            reply.fail("a string access_token")
        return token

    def _send(
        self, action: str, body: object, sid: str = "", *, patience_s: float = PATIENCE_S
    ) -> Reply:
        headers = {"Cookie": f"sid={sid}"} if sid else {}
        path = f"/api/{action}"
        return self.server.post(path, json=body, headers=headers, timeout_s=patience_s)


def set_by(reply: Reply) -> str:
    """Return what a reply sets, for a report."""
    return reply.headers.get("set-cookie", "(absent)")


def cookie_of(reply: Reply) -> Cookie | None:
    """Return the cookie sid that a reply sets; None where it sets none."""
    found = None
    # Repeated fields are joined by commas; the one inside Expires has no name behind it.
    for text in re.split(r",\s*(?=[^;,=\s]+=)", reply.headers.get("set-cookie", "")):
        pair, *rest = text.split(";")
        name, _, value = pair.strip().partition("=")
        if name == "sid":
            parts = [attribute.partition("=") for attribute in rest]
            found = Cookie(value, {k.strip().lower(): v.strip() for k, _, v in parts})
    return found


def expect_known(reply: Reply, person: Person, role: str = "customer") -> None:
    """Compare the reply of /api/me with who asked."""
    reply.expect(200, json={"user": person.name, "role": role})


def expect_unknown(reply: Reply, what: str) -> None:
    """Expect that /api/me does not know who asked."""
    if reply.status != 401:
        reply.fail(f"401 for {what}")
    reply.expect(401, json=NOT_SIGNED_IN)


@pytest.fixture(scope="module")
def settings(store: Store, random: Random) -> dict[str, str]:
    """The variables that all servers share."""
    return {
        "REDIS_URL": store.url,
        "JWT_SECRET": random.hex(64),
        "SESSION_TTL_SECONDS": str(random.integer(600, 900)),
        "TOKEN_TTL_SECONDS": str(random.integer(200, 400)),
    }


@pytest.fixture(scope="module")
def office(image: Image, settings: dict[str, str], random: Random) -> BoxOffice:
    """A server."""
    return BoxOffice(image.start(env=settings), random)


@pytest.fixture(scope="module")
def neighbour(image: Image, settings: dict[str, str], random: Random) -> BoxOffice:
    """A second server, with the same settings, beside the same Redis."""
    return start_elsewhere(image, settings, random)


def start_elsewhere(image: Image, settings: dict[str, str], random: Random) -> BoxOffice:
    """Start a server at a port that nobody uses by habit."""
    port = random.port()
    server = image.start(env={**settings, "PORT": str(port)}, port=port)
    return BoxOffice(server, random)


@pytest.fixture(scope="module")
def brief_session(
    image: Image, settings: dict[str, str], random: Random, meanwhile: Meanwhile
) -> Story[None]:
    """A session of a few seconds, on its own server, watched until it has ended."""
    server = image.start(env={**settings, "SESSION_TTL_SECONDS": str(BRIEF_TTL_S)})
    return meanwhile(lambda: watch_a_session(BoxOffice(server, random)))


# --- the circle ---------------------------------------------------------------------------------


@points(
    1,
    hints=(
        (
            "Type the command from the report, and compare status, body and Set-Cookie with the"
            " contract's tables. After a logout the server must have forgotten the session,"
            " whatever the browser still sends."
        ),
        (
            "Log in: draw at least 16 random bytes, write them as text, store `session:<text>`"
            " → name in Redis with a time to live, and set the cookie sid=<text>; HttpOnly;"
            " SameSite=Lax; Path=/. Log out: delete that key. Register: one atomic step, such as"
            " HSETNX or SET … NX, says whether the name was free."
        ),
    ),
    link="A session: something only the browser has",
)
def check_signs_in_and_out(office: BoxOffice) -> None:
    """Register, log in, be recognised, log out: after that a copied cookie is dead"""
    person = Person(office.random.word(), office.new_password())
    # An accent as a separate character, which a registration must keep as it is.
    other = office.new_person(office.new_password().replace("ž", "z\u030c"))
    registered = office.register(person).expect(201)
    if (cookie := cookie_of(registered)) and cookie.value:
        expect_unknown(
            office.me(cookie.value), "the cookie of a registration, which logs nobody in"
        )
    expect_unknown(office.me(office.random.hex(32)), "a cookie that nobody has issued")
    expect_challenges(office, person)
    reply = office.login(person).expect(204)
    expect_good_cookie(reply)
    first = office.log_in(person)
    expect_known(office.me(first, among_others=True), person)
    refuses_wrong_passwords(office, person, other)
    office.login(Person(person.name, other.password), sid=first).expect(401, json=BAD_CREDENTIALS)
    expect_known(office.me(first), person)
    refuses_weak_and_taken(office, person)
    gives_a_name_once(office)
    second, others = office.log_in(person), office.log_in(other)
    expect_unguessable([first, second, others])
    office.logout(first).expect(204)
    expect_unknown(office.me(first), "a copied cookie after the logout")
    expect_known(office.me(second), person)
    expect_known(office.me(others), other)
    changed = office.change(second, person.password, office.new_password())
    if cookie_of(changed):
        expect_good_cookie(changed)


def expect_challenges(office: BoxOffice, person: Person) -> None:
    """Ask without a session for what needs one, and with what is none."""
    change = {"old": person.password, "new": office.new_password()}
    claims = {"sub": office.random.word(), "iss": "lantern", "iat": now(), "exp": now() + 900}
    for reply in (
        office.server.get("/api/me"),
        office.me(office.random.hex(32)),
        office.me_by(signed(claims, office.random.hex(64).encode())),
        office.server.post("/api/password", json=change, timeout_s=PATIENCE_S),
    ):
        reply.expect(401, json=NOT_SIGNED_IN, headers={"WWW-Authenticate": None})


def expect_good_cookie(reply: Reply) -> None:
    """Compare the attributes of the cookie with the contract."""
    cookie = cookie_of(reply)
    if cookie is None:
        reply.fail("Set-Cookie: sid=…", f"Set-Cookie: {set_by(reply)}")
    attributes = cookie.attributes
    good = (
        "httponly" in attributes
        and attributes.get("path") == "/"
        and attributes.get("samesite", "").lower() in ("lax", "strict")
    )
    if not good:
        wanted = "sid=…; HttpOnly; Path=/; SameSite=Lax (or Strict)"
        reply.fail(wanted, f"Set-Cookie: {set_by(reply)}")


def expect_unguessable(values: list[str]) -> None:
    """Expect long values, each far from each other."""
    for value in values:
        if len(value) < SID_LENGTH:
            fail(f"a sid of at least {SID_LENGTH} characters", value, command=CHECK_AGAIN)
    for one, other in itertools.combinations(values, 2):
        differing = sum(a != b for a, b in zip(one, other, strict=False))
        if differing < SID_DIFFERS:
            wanted = "a sid that nobody can guess from another"
            fail(wanted, f"{one} and {other}", command=CHECK_AGAIN)


def refuses_wrong_passwords(office: BoxOffice, person: Person, other: Person) -> None:
    """Try passwords that resemble the right one, and one of somebody else at both doors."""
    right = person.password
    # The last one looks the same: with the accent as a separate character, the bytes differ.
    likely = (
        right.lower(), f"{right} ", f" {right}", right[:-1], right.replace("ž", "z"),
        right.replace("ž", "z\u030c"),
    )  # fmt: skip
    tries = [(office.login, wrong) for wrong in (*likely, other.password)]
    for door, wrong in [*tries, (office.ask_token, other.password)]:
        reply = door(Person(person.name, wrong))
        if reply.status != 401:
            reply.fail(f"401 for {wrong!a} instead of {right!a}")
        reply.expect(401, json=BAD_CREDENTIALS)
        if (cookie := cookie_of(reply)) and cookie.value:
            expect_unknown(office.me(cookie.value), "the cookie of a login that was refused")


def refuses_weak_and_taken(office: BoxOffice, person: Person) -> None:
    """Register with nine and ten characters, and with a name that somebody has."""
    name, word = office.random.words(2)
    nine = f"{word}{office.random.integer(100, 999)}"
    for weak in (nine, "ž" * len(nine)):
        office.register(Person(name, weak)).expect(400, json={"error": "weak_password"})
    office.login(Person(name, nine)).expect(401, json=BAD_CREDENTIALS)
    # The tenth character counts, though it's a space at the end.
    ten = Person(name, f"{nine} ")
    office.register(ten).expect(201)
    office.log_in(ten)
    taken = Person(person.name, office.new_password())
    office.register(taken).expect(409, json={"error": "user_taken"})
    office.login(taken).expect(401, json=BAD_CREDENTIALS)
    office.log_in(person)


def gives_a_name_once(office: BoxOffice) -> None:
    """Have many want one name at the same time."""
    rivals = new_rivals(office, RIVALS)
    with at_once(office.compete, rivals) as crowd:
        replies = crowd.results()
    winners = [p for p, r in zip(rivals, replies, strict=True) if r.status == 201]
    if len(winners) != 1:
        seen = ", ".join(str(r.status) for r in replies)
        replies[0].fail(f"one 201 for {RIVALS} who want one name at once", f"{seen}")
    for rival, reply in zip(rivals, replies, strict=True):
        if rival not in winners:
            reply.expect(409, json={"error": "user_taken"})
    office.log_in(winners[0])


def new_rivals(office: BoxOffice, count: int) -> list[Person]:
    """Return people who want one name, each with another password."""
    name = office.random.word()
    return [Person(name, office.new_password()) for _ in range(count)]


# --- what a thief finds -------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "Look at your store as a thief would: docker exec … redis-cli HGETALL user:… A fast"
            " hash, a salt used twice or made from the name, and a password in a log line are"
            " all a gift."
        ),
        (
            "Draw 16 random bytes as salt for each hash, call argon2id (19456 KiB, 2 passes, 1"
            " lane) or scrypt (N=16384, r=8, p=1) with the bytes of the salt, and store"
            " $argon2id$v=19$m=19456,t=2,p=1$<salt in Base64>$<hash in Base64>, or"
            " $scrypt$ln=14,r=8,p=1$<salt>$<hash>. Don't print request bodies."
        ),
    ),
    link="Slow, salted, and in a text form",
)
def check_stores_only_strong_hashes(office: BoxOffice, store: Store) -> None:
    """A stolen store is useless: argon2id, scrypt or bcrypt, a new salt each time, nothing else"""
    shared, wrong, second, weak = (office.new_password() for _ in range(4))
    weak = weak[:9]
    one, other = office.new_person(shared), office.new_person(shared)
    first, others = (expect_strong(store, person.name, shared) for person in (one, other))
    expect_other_salt(first, others, "two users with one password")
    sid, token = office.log_in(one), office.token(one)
    office.login(Person(one.name, wrong)).expect(401)
    office.ask_token(Person(one.name, wrong)).expect(401)
    office.login(Person(office.random.word(), wrong)).expect(401)
    office.register(Person(office.random.word(), weak))
    # Whatever the status: only the log is looked at here.
    office.change(office.log_in(other), wrong, second)
    office.change(sid, shared, second).expect(204)
    expect_strong(store, one.name, second)
    sid = office.log_in(Person(one.name, second))
    office.change(sid, second, shared).expect(204)
    again = expect_strong(store, one.name, shared)
    expect_other_salt(first, again, "one user who comes back to a former password")
    for password in (shared, wrong, second, weak):
        expect_nowhere(office, store, password, token)


def sid_after(reply: Reply, sid: str) -> str:
    """Return the cookie that counts after a new password: a new one, or the one that asked."""
    cookie = cookie_of(reply.expect(204))
    return cookie.value if cookie else sid


def expect_other_salt(one: str, other: str, whose: str) -> None:
    """Expect two different salts."""
    if salt_of(one) == salt_of(other):
        fail(f"two salts for {whose}", f"{one} and {other}")


def salt_of(stored: str) -> str:
    """Return the salt of a hash in one of the three text forms."""
    parts = stored.split("$")
    return parts[3][:22] if parts[1].startswith("2") else parts[-2]


def expect_strong(store: Store, name: str, password: str) -> str:
    """Return the hash of a user's password, which must be strong, and really be one of it."""
    stored = str(store.run("HGET", f"user:{name}", "password_hash") or "")
    if not stored:
        fail(f"a field password_hash in the hash user:{name}", "there is none")
    kind = stored.split("$")[1] if stored.count("$") > 2 else ""
    judges = {"argon2id": argon2id_fault, "scrypt": scrypt_fault, "2a": bcrypt_fault,
              "2b": bcrypt_fault, "2y": bcrypt_fault}  # fmt: skip
    if fault := judges.get(kind, unknown_fault)(stored, password.encode()):
        wanted = "password_hash by argon2id, scrypt or bcrypt, as strong as the contract asks"
        fail(wanted, f"{stored[:120]}: {fault}")
    return stored


def unknown_fault(_stored: str, _password: bytes) -> str:
    """Say that the text form is none of the three."""
    return "it begins with none of $argon2id$, $scrypt$, $2b$"


def argon2id_fault(stored: str, password: bytes) -> str:
    """Say what is wrong with an argon2id hash; empty where nothing is."""
    match = re.fullmatch(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([^$]+)\$([^$]+)", stored)
    if not match:
        return "not of the form $argon2id$v=19$m=…,t=…,p=…$<salt>$<hash>"
    memory, passes, lanes = (int(n) for n in match.groups()[:3])
    if memory < 19456 or passes < 1 or lanes < 1:
        return "at least m=19456, t=1, p=1"
    if memory * 1024 > LIMIT_MEMORY or passes > 10 or lanes > 16:
        return "too much to be graded: at most 256 MiB, and about a second"
    salt, wanted = decoded(match[4]), decoded(match[5])
    if fault := size_fault(salt, wanted):
        return fault
    computed = hash_secret_raw(password, salt, passes, memory, lanes, len(wanted), Type.ID)
    return "" if computed == wanted else "argon2id of the password and this salt is another value"


def scrypt_fault(stored: str, password: bytes) -> str:
    """Say what is wrong with an scrypt hash; empty where nothing is."""
    match = re.fullmatch(r"\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([^$]+)\$([^$]+)", stored)
    if not match:
        return "not of the form $scrypt$ln=…,r=…,p=…$<salt>$<hash>"
    ln, r, p = (int(n) for n in match.groups()[:3])
    if ln < 14 or r < 8 or p < 1:
        return "at least ln=14, r=8, p=1"
    if ln > 20 or 128 * r << ln > LIMIT_MEMORY or p > 8:
        return "too much to be graded: at most 256 MiB, and about a second"
    salt, wanted = decoded(match[4]), decoded(match[5])
    if fault := size_fault(salt, wanted):
        return fault
    computed = hashlib.scrypt(
        password, salt=salt, n=1 << ln, r=r, p=p, dklen=len(wanted), maxmem=2 * LIMIT_MEMORY
    )
    return "" if computed == wanted else "scrypt of the password and this salt is another value"


def bcrypt_fault(stored: str, password: bytes) -> str:
    """Say what is wrong with a bcrypt hash; empty where nothing is."""
    match = re.fullmatch(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}", stored)
    if not match:
        return "not of the form $2b$<cost>$<53 letters>"
    if int(match[1]) < 10:
        return "a cost of at least 10"
    if int(match[1]) > 14:
        return "too much to be graded: about a second"
    fits = bcrypt.checkpw(password, stored.encode())
    return "" if fits else "bcrypt of the password and this salt is another value"


def decoded(text: str) -> bytes:
    """Decode Base64 of either alphabet, with or without padding; nothing where it is none."""
    standard = text.rstrip("=").translate(STANDARD_BASE64)
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def size_fault(salt: bytes, value: bytes) -> str:
    """Say which of the two is too short, or no Base64."""
    if len(salt) < 8 or len(value) < 16:
        return "salt and hash in Base64, of at least 8 and 16 bytes"
    return "" if len(value) <= 128 else "a hash of at most 128 bytes"


def expect_nowhere(office: BoxOffice, store: Store, password: str, token: str) -> None:
    """Search for a password in all that could be stolen."""
    claims = " ".join(decoded(part).decode(errors="replace") for part in token.split("."))
    places = [
        *contents(store),
        ("what the server prints", office.server.logs(),
         f"docker logs {office.server.container.name}"),
        ("a token", claims, CHECK_AGAIN),
    ]  # fmt: skip
    for form, text in forms_of(password).items():
        for place, content, command in places:
            if seen := next((c for c in readings(content) if text in c), None):
                at = seen.index(text)
                shown = seen[max(0, at - 40) : at + len(text) + 10]
                fail(f"the password {password!r} nowhere", f"{form}, in {place}: …{shown!r}…",
                     command=command)  # fmt: skip


def contents(store: Store) -> Iterator[tuple[str, str, str]]:
    """Yield each key of Redis, with what it holds as text, and the command that shows it."""
    for key in store.keys("*"):
        kind = store.run("TYPE", key)
        if kind in READ:
            verb, *rest = READ[kind]
            words = ("docker", "exec", store.container.name, "redis-cli", verb, key, *rest)
            command = shlex.join(words)
            yield f"the key {key} of Redis", f"{key} {store.run(verb, key, *rest)}", command


def readings(content: str) -> tuple[str, ...]:
    """Return a text as it is, with hexadecimal in lower case, and with Base64 in one alphabet."""
    return content, content.lower(), content.translate(STANDARD_BASE64)


def forms_of(password: str) -> dict[str, str]:
    """Return the forms in which a password is as good as open, by their names."""
    data = password.encode()
    # Its last letter may be escaped by JSON or by a log; the part before it is telling enough.
    plain = password.rstrip("ž").encode()
    forms = {"as it is": plain.decode(), "in hexadecimal": plain.hex()}
    # Base64 takes three bytes at a time, and the password may begin with any of the three.
    for skipped in range(3):
        whole = plain[skipped:][: (len(plain) - skipped) // 3 * 3]
        forms[f"in Base64, from byte {skipped + 1} on"] = base64.b64encode(whole).decode()
    for name in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(name, data, usedforsecurity=False)
        forms[f"by {name}"] = digest.hexdigest()
        forms[f"by {name}, in Base64"] = base64.b64encode(digest.digest()).decode().rstrip("=")
    return forms


# --- several servers ----------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "Send the first server's cookie to a second one. Where does it look up the session,"
            " and where does it get the key for the tokens? What removes a session that nobody"
            " ends? A list or a lock in one server's memory is unknown to the next server."
        ),
        (
            "Sessions live in Redis only: SET session:<sid> <user> EX $SESSION_TTL_SECONDS, and"
            " never extend or cache it. The key for the tokens is JWT_SECRET, as it is."
        ),
    ),
    link="Servers come and go",
)
def check_survives_a_restart(
    image: Image,
    office: BoxOffice,
    neighbour: BoxOffice,
    store: Store,
    settings: dict[str, str],
    random: Random,
    brief_session: Story[None],
) -> None:
    """Sessions and tokens of a server outlive it and work on another, until their time is over"""
    person = office.new_person()
    ttl = int(settings["SESSION_TTL_SECONDS"])
    sid, token = neighbour.log_in(person), neighbour.token(person)
    expect_forgotten_in_time(store, ttl)
    for ask in (lambda: office.me(sid), lambda: office.me_by(token)):
        expect_known(ask(), person)
    neighbour.server.container.signal("SIGKILL")
    neighbour.server.container.wait(5)
    for ask in (lambda: office.me(sid), lambda: office.me_by(token)):
        expect_known(ask(), person)
    successor = start_elsewhere(image, settings, random)
    for ask in (lambda: successor.me(sid), lambda: successor.me_by(token)):
        expect_known(ask(), person)
    office.logout(sid).expect(204)
    # A logout that ends nothing anywhere is what signs_in_and_out tells.
    if office.me(sid).status == 401:
        expect_unknown(successor.me(sid), "a session that was ended at another server")
    # Neither a new password nor a logout may leave a key for ever.
    sid = changes_a_password_everywhere(office, successor, person)
    expect_forgotten_in_time(store, ttl)
    office.logout(sid)
    expect_forgotten_in_time(store, ttl)
    gives_a_name_once_anywhere(office, successor, store)
    brief_session.result()


def expect_forgotten_in_time(store: Store, ttl: int) -> None:
    """Expect all keys but those of users to expire by themselves."""
    for key in store.keys("*"):
        if not key.startswith("user:"):
            # A login under way may be between its two steps, the value and its EXPIRE.
            eventually(partial(expect_ttl, store, key, ttl), within_s=1)


def expect_ttl(store: Store, key: str, ttl: int) -> None:
    """Expect a key to expire in time."""
    left = store.ttl(key)
    if left is None or left > ttl:
        saw = "TTL -1: none" if left is None else f"{left:.0f} s"
        fail(f"a time to live of at most {ttl} s for the key {key}", saw)


def changes_a_password_everywhere(office: BoxOffice, successor: BoxOffice, person: Person) -> str:
    """Change a password while another server has a session, too; return the cookie that counts."""
    asking, here, there = (o.log_in(person) for o in (office, office, successor))
    cookie = cookie_of(office.change(asking, person.password, office.new_password()))
    # If a new password ends no session at all, keeps_privileges says so.
    if office.me(here).status == 401:
        expect_unknown(successor.me(there), "a session of another server, after a new password")
        successor.login(person).expect(401, json=BAD_CREDENTIALS)
    return cookie.value if cookie else asking


def gives_a_name_once_anywhere(office: BoxOffice, successor: BoxOffice, store: Store) -> None:
    """Ask for one name at two servers, while Redis holds back writes until both have looked."""
    with at_once(office.compete, new_rivals(office, RIVALS)) as crowd:
        statuses = [reply.status for reply in crowd.results()]
    # If one server alone gives a name to several people, signs_in_and_out says so.
    if statuses.count(201) != 1:
        return
    one, other = new_rivals(office, 2)
    wishes = [partial(office.compete, one), partial(successor.compete, other)]
    rivals = at_once(lambda compete: compete(), wishes)
    store.run("CLIENT", "PAUSE", str(PAUSE_MS), "WRITE")
    with rivals:
        # Each server has a request that waits to write; if it looks for the name first, it has.
        while rivals.busy and store.run("INFO", "clients")["blocked_clients"] < len(wishes):
            time.sleep(0.02)
        store.run("CLIENT", "UNPAUSE")
    statuses = [reply.status for reply in rivals.results()]
    if statuses.count(201) != 1:
        wanted = "one 201 for two who want one name at once, each at another server"
        fail(wanted, " and ".join(map(str, statuses)), command=CHECK_AGAIN)


def watch_a_session(office: BoxOffice) -> None:
    """Use a session of a few seconds until it has ended: not too early and not too late."""
    person = office.new_person()
    asked = time.monotonic()
    sid = office.log_in(person)
    begun = time.monotonic()
    while True:
        sent = time.monotonic()
        reply = office.me(sid)
        if reply.status == 401:
            break
        if reply.status != 200:
            reply.fail(f"200 while a session of {BRIEF_TTL_S} s lives, and 401 afterwards")
        if sent > begun + BRIEF_TTL_S + LATEST_S:
            reply.fail(
                f"401 {LATEST_S} s after the end of a session of {BRIEF_TTL_S} s, often used",
                f"200, {sent - begun:.1f} s after its login",
            )
        time.sleep(0.1)
    expect_unknown(reply, f"a session of {BRIEF_TTL_S} s after its end")
    if time.monotonic() < asked + BRIEF_TTL_S - EARLIEST_S:
        reply.fail(
            f"a session of {BRIEF_TTL_S} s",
            f"{reply.status}, {time.monotonic() - asked:.1f} s after its login",
        )


# --- tokens -------------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "The report says which token was believed, or which was not. Everything in a token"
            " but its signature can be written by anybody, the field alg too."
        ),
        (
            "Split at the dots into exactly three parts; compute HMAC-SHA-256 of header.payload"
            " with JWT_SECRET and compare it with the third part in constant time; only then"
            " parse the payload, and require iss == 'lantern', a number exp in the future, and a"
            " user of that name. With a library: name the algorithm, the issuer and the required"
            " claims."
        ),
    ),
    link="Verify first, believe later",
    needs=("survives_a_restart",),
)
def check_refuses_forged_tokens(
    office: BoxOffice, settings: dict[str, str], random: Random
) -> None:
    """Tokens signed with JWT_SECRET are believed until they expire, and no others are"""
    person, victim = office.new_person(), office.new_person()
    # Names that a missing one may turn into.
    for name in ("undefined", "null"):
        office.register(Person(name, office.new_password())).expect(201)
    key = settings["JWT_SECRET"].encode()
    token = issued(office, person, key, int(settings["TOKEN_TTL_SECONDS"]))
    expect_known(office.me_by(token), person)
    claims = {"sub": victim.name, "iss": "lantern", "iat": now() - 5, "exp": now() + 900}
    expect_known(office.me_by(signed(claims | {"jti": random.hex()}, key)), victim)
    end = now() + BRIEF_TOKEN_S
    brief = signed(claims | {"exp": end}, key)
    reply = office.me_by(brief)
    # On a busy machine the token may be nearly over before it's looked at.
    if time.time() < end - 1:
        expect_known(reply, victim)
    for what, forged in forgeries(token, claims, key, random).items():
        expect_unknown(office.me_by(forged), f"a token {what}")
    time.sleep(max(0.0, end + 1 - time.time()))
    expect_unknown(office.me_by(brief), "a token that was good until its exp passed")


def issued(office: BoxOffice, person: Person, key: bytes, ttl: int) -> str:
    """Ask for a token, and compare all that the contract says of it."""
    reply = office.ask_token(person).expect(200, json={"expires_in": ttl})
    token = office.token(person)
    if str(reply.json().get("token_type")).lower() != "bearer":
        reply.fail('"token_type": "Bearer"')
    header, payload, signature = [*token.split("."), "", ""][:3]
    if parsed(header).get("alg") != "HS256":
        reply.fail("a token whose header has alg HS256", f"{parsed(header) or token[:80]}")
    if decoded(signature) != hmac_of(f"{header}.{payload}", key, "sha256"):
        reply.fail("a token signed by HMAC-SHA-256 with JWT_SECRET", f"{token}")
    claims = parsed(payload)
    iat, exp = claims.get("iat"), claims.get("exp")
    if (claims.get("sub"), claims.get("iss")) != (person.name, "lantern"):
        reply.fail(f'the claims "sub": "{person.name}" and "iss": "lantern"', f"{claims}")
    if not isinstance(iat, int) or not isinstance(exp, int) or abs(iat - now()) > 60:
        reply.fail(f"integers iat, now ({now()}), and exp", f"{claims}")
    if exp - iat != ttl:
        wanted = f"exp {ttl} s after iat, as TOKEN_TTL_SECONDS says"
        fail(wanted, f"{exp - iat} s", command=CHECK_AGAIN)
    return token


def forgeries(token: str, claims: dict[str, Any], key: bytes, random: Random) -> dict[str, str]:
    """Return tokens that nobody may believe, by what is wrong with them."""
    header, payload, signature = token.split(".")
    good, body = signed(claims, key), packed(claims)
    other_header = packed({"alg": "HS256", "typ": "JWT", "kid": random.hex()})
    found = {
        f"with alg {alg} and no signature": f"{packed({'alg': alg, 'typ': 'JWT'})}.{body}."
        for alg in ("none", "None", "NONE")
    }
    without = lambda name: {k: v for k, v in claims.items() if k != name}  # noqa: E731 - short
    return found | {
        "with no signature": good.rpartition(".")[0] + ".",
        "without the third part": good.rpartition(".")[0],
        "with half a signature": good[: -len(signature) // 2],
        "with a fourth part": f"{good}.{signature}",
        "signed with another key": signed(claims, random.hex(64).encode()),
        "signed with an empty key": signed(claims, b""),
        "with alg HS512, signed with the right key": signed(claims, key, "HS512", "sha512"),
        "whose sub was changed after signing": f"{header}.{body}.{signature}",
        "whose header was changed after signing": f"{other_header}.{payload}.{signature}",
        "whose exp was an hour ago": signed(claims | {"exp": now() - 3600}, key),
        "whose exp was a moment ago": signed(claims | {"exp": now() - 1}, key),
        "without exp": signed(without("exp"), key),
        "with the iss of somebody else": signed(claims | {"iss": random.word()}, key),
        "whose iss only begins with lantern": signed(claims | {"iss": "lantern-stage"}, key),
        "without iss": signed(without("iss"), key),
        "without sub": signed(without("sub"), key),
        "with the sub of nobody": signed(claims | {"sub": random.word()}, key),
        "that is no token": random.hex(40),
    }


def now() -> int:
    """Return the seconds since 1970."""
    return int(time.time())


def packed(value: object) -> str:
    """Return JSON in Base64 for addresses, without padding."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def parsed(part: str) -> dict[str, Any]:
    """Return the object in a part of a token; an empty one where it is none."""
    try:
        value = json.loads(decoded(part))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def hmac_of(text: str, key: bytes, digest: str) -> bytes:
    """Return an HMAC."""
    return hmac.new(key, text.encode(), digest).digest()


def signed(claims: dict[str, Any], key: bytes, alg: str = "HS256", digest: str = "sha256") -> str:
    """Return a token."""
    text = f"{packed({'typ': 'JWT', 'alg': alg})}.{packed(claims)}"
    signature = base64.urlsafe_b64encode(hmac_of(text, key, digest)).decode().rstrip("=")
    return f"{text}.{signature}"


# --- what a stranger learns ---------------------------------------------------------------------


@points(
    1,
    hints=(
        (
            "Time both with curl -w '%{time_total}': for which of the two does your server not"
            " compute a hash? Then compare the two replies byte by byte."
        ),
        (
            "Hash a random password once, when the server starts. If there's no such user,"
            " verify the given password against that hash, and answer with the same code as for"
            " a wrong password."
        ),
    ),
    link="What a stranger learns",
)
def check_tells_strangers_nothing(office: BoxOffice) -> None:
    """An unknown name and a wrong password get the same reply, and neither takes twice as long"""
    person = office.new_person()
    office.log_in(person)
    for ask in (office.login, office.ask_token):
        expect_the_same(ask, office, person)


def expect_the_same(ask: Callable[[Person], Reply], office: BoxOffice, person: Person) -> None:
    """Ask for both in turn, and compare replies and times."""
    for _ in range(BATCHES):
        unknown, wrong = [], []
        for _ in range(ROUNDS):
            unknown.append(ask(Person(office.random.word(), office.new_password())))
            wrong.append(ask(Person(person.name, office.new_password())))
        expect_like(unknown[-1].expect(401, json=BAD_CREDENTIALS), wrong[-1])
        times = [statistics.median(r.elapsed_s for r in replies) for replies in (unknown, wrong)]
        # A busy machine may disturb one batch; a difference in work is there in each of them.
        if max(times) <= AT_MOST_TIMES * min(times):
            return
    fail(
        f"neither takes {AT_MOST_TIMES} times as long as the other",
        f"{times[0] * 1000:.0f} ms for an unknown name, {times[1] * 1000:.0f} ms for a wrong"
        f" password, medians of {ROUNDS}",
        command=CHECK_AGAIN,
    )


def expect_like(unknown: Reply, wrong: Reply) -> None:
    """Compare the reply to an unknown name with the one to a wrong password."""
    for one, other in (
        (unknown.status, wrong.status),
        (unknown.text, wrong.text),
        (sorted(unknown.headers), sorted(wrong.headers)),
    ):
        if one != other:
            unknown.fail(f"the same as for a wrong password: {other}", f"{one}")


# --- rights -------------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "Which fields of a body reach your store, and which should? Who chose the value of"
            " the cookie that is valid after the login? And what about the sessions a thief"
            " began before the password was changed?"
        ),
        (
            "Take user and password from the body, by name, and write role: 'customer'"
            " yourself. Draw a new sid at every login. Read the role from user:<name> at each"
            " request. Keep a number in the user's hash and raise it with each new password: a"
            " session remembers the number it began with, and is dead once the two differ. Only"
            " the session that asked gets the new number."
        ),
    ),
    link="Rights nobody gives themselves",
)
def check_keeps_privileges(office: BoxOffice, store: Store, random: Random) -> None:
    """Nobody gives themselves a role or chooses a sid, and a new password ends other sessions"""
    ignores_roles_in_bodies(office, store)
    follows_the_role_in_the_store(office, store, random.word())
    changes_the_sid_at_login(office, random)
    ends_sessions_at_a_new_password(office)


def ignores_roles_in_bodies(office: BoxOffice, store: Store) -> None:
    """Send more than was asked for, in each body."""
    more = {"role": "manager", "roles": ["manager"], "is_admin": True, "admin": True}
    person, victim = Person(office.random.word(), office.new_password()), office.new_person()
    office.register(person, **more).expect(201)
    sid = office.log_in(person, **more)
    expect_known(office.me(sid), person)
    new = office.new_password()
    reply = office.change(sid, person.password, new, **more, user=victim.name, name=victim.name)
    sid = sid_after(reply, sid)
    expect_known(office.me(sid), person)
    token = office.token(Person(person.name, new), **more, sub=victim.name)
    expect_known(office.me_by(token), person)
    if (role := store.run("HGET", f"user:{person.name}", "role")) != "customer":
        fail(f"role customer in the hash user:{person.name}", f"{role}")
    office.log_in(victim)
    office.log_in(Person(person.name, new))


def follows_the_role_in_the_store(office: BoxOffice, store: Store, role: str) -> None:
    """Change the role in Redis, as the theatre does, while its user is logged in."""
    person = office.new_person()
    sid, token = office.log_in(person), office.token(person)
    expect_known(office.me(sid), person)
    # Ask before the change too, so that a server which remembers a token's role is noticed.
    expect_known(office.me_by(token), person)
    store.run("HSET", f"user:{person.name}", "role", role)
    expect_known(office.me(sid), person, role)
    expect_known(office.me_by(token), person, role)


def changes_the_sid_at_login(office: BoxOffice, random: Random) -> None:
    """Plant a cookie in somebody's browser before they log in: one made up, one of a session."""
    thief, victim = office.new_person(), office.new_person()
    for planted in (random.hex(64), office.log_in(thief)):
        reply = office.login(victim, sid=planted).expect(204)
        cookie = cookie_of(reply)
        if cookie is None or cookie.value == planted:
            reply.fail("a new sid at the login", f"Set-Cookie: {set_by(reply)}; sent: {planted}")
        expect_known(office.me(cookie.value), victim)
        reply = office.me(planted)
        if reply.status == 200 and reply.json().get("user") != thief.name:
            reply.fail("a sid that was planted before the login tells nobody who logged in")


def ends_sessions_at_a_new_password(office: BoxOffice) -> None:
    """Change a password, rightly and wrongly, with other sessions under way."""
    person, other = office.new_person(), office.new_person()
    asking, stolen, others = (office.log_in(p) for p in (person, person, other))
    new = office.new_password()
    reply = office.change("", person.password, new)
    expect_unknown(reply, "/api/password without a session")
    token = office.token(person)
    reply = office.server.post(
        "/api/password",
        json={"old": person.password, "new": new},
        headers={"Authorization": f"Bearer {token}"},
        timeout_s=PATIENCE_S,
    )
    expect_unknown(reply, "/api/password with a token instead of a session")
    reply = office.change(token, person.password, new)
    expect_unknown(reply, "/api/password with a token as the cookie sid")
    office.change(asking, office.new_password(), new).expect(401, json=BAD_CREDENTIALS)
    for short in (new[:9], "ž" * 9):
        # If registration accepts this length too, signs_in_and_out says so.
        if office.register(Person(office.random.word(), short)).status == 400:
            reply = office.change(asking, person.password, short)
            reply.expect(400, json={"error": "weak_password"})
    expect_known(office.me(stolen), person)
    office.log_in(person)
    asking = sid_after(office.change(asking, person.password, new), asking)
    expect_unknown(office.me(stolen), "a session that began before the new password")
    expect_known(office.me(asking), person)
    expect_known(office.me(others), other)
    office.login(person).expect(401, json=BAD_CREDENTIALS)
    expect_known(office.me(office.log_in(Person(person.name, new))), person)
