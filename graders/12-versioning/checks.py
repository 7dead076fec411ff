import copy
import json
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, NoReturn
from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from coursework.checks import (
    Failure,
    Image,
    Meanwhile,
    Random,
    Reply,
    Server,
    Story,
    Submission,
    eventually,
    fail,
    points,
)

V1, V2, PLAIN = "/v1/shows", "/v2/shows", "/shows"
DOCUMENT = "openapi.v2.yaml"
COMMAND_TO_READ = f"cat -n {DOCUMENT}"
COMMAND_TO_VALIDATE = f"openapi-spec-validator {DOCUMENT}"
LIMIT_DOCUMENT_BYTES = 100_000
LIMIT_REFERENCES = 50
# References to references multiply: following all of them may never end.
LIMIT_NODES = 50_000
# To know which properties are left over, a validator looks at the others again, at each level.
UNEVALUATED = {"unevaluatedProperties", "unevaluatedItems"}
UNEVALUATED_TIMES = 4
BAD_REQUEST = 400
PROBLEM = "application/problem+json"
DECLARED = "urn:document"
VERSION = "Lantern-Version"
ANNOUNCEMENTS = ("Deprecation", "Sunset", "Link")
LINK = re.compile(r"<([^>]*)>([^<]*)")
SUCCESSOR = re.compile(
    r'\brel\s*=\s*(?:successor-version\b|"(?:[^"]*\s)?successor-version(?:\s[^"]*)?")',
    re.IGNORECASE,
)
# In force in winter and in summer, and known to programs that have no list of time zones.
TIME_ZONE = "EST5EDT"

# Floating point gets each of these wrong in one direction or the other.
PRICES = {
    "19.99": 1999, "0.07": 7, "1.15": 115, "4.35": 435, "0.29": 29, "1.10": 110, "1.00": 100,
    "0.01": 1, "8.20": 820, "1001.10": 100_110, "99999.99": 9_999_999, "10.00": 1000,
}  # fmt: skip
NO_DECIMALS = (
    "1.1", "4.015", "25", "25.", ".50", "025.00", "00.50", "+25.00", "-25.00", " 25.00", "25.00 ",
    "25,00", "1e2", "0x19.00", "0.00", "100000.00", "25.00\n", "25.0a", "1,000.00",
    "\u0662\u0665.\u0660\u0660",
)  # fmt: skip
NO_PRICES = ("free", "", 25, None, True, ["25.00"])
NO_TITLES = ("", 7, None, True, ["Hamlet"])
NO_WHENS = (
    "2027-02-30 19:30", "2027-02-29 19:30", "2027-04-31 19:30", "2027-13-01 19:30",
    "2027-00-10 19:30", "2027-01-00 19:30", "2027-03-01T19:30:00Z",
    "2027-03-01 19:30:00", "2027-03-01", "19:30",
    "2027-03-01 24:00", "2027-03-01 19:60", "2027-3-1 19:30", "2027-03-01  19:30", "tomorrow",
    "", 1804188600, None,
)  # fmt: skip
NO_STARTS = (
    "2027-02-30T19:30:00Z", "2027-02-29T19:30:00Z", "2027-03-01T19:30:30Z",
    "2027-03-01T19:30:00+00:00", "2027-3-1T19:30:00Z", "2027-03-01t19:30:00z",
    "2027-03-01 19:30", "2027-03-01T19:30Z", "2027-03-01T24:00:00Z", "2027-03-01T19:30:00.000Z",
    "", 1804188600, None,
)  # fmt: skip
# The borders of days and years, and a day that few years have.
WHENS = ("2028-02-29 00:00", "2027-12-31 23:59", "2028-01-01 00:01")
NO_CENTS = (0, -2500, 10_000_000, 25.5, "2500", None, True)
NO_VENUES = ("", 7, True, ["Main stage"])
ABSENT = "(absent)"
NO_VERSIONS = ("3", "0", "2.0", "v2", "01", "12", "two", "-1", "latest")

Show = dict[str, Any]


class Offer:
    """A show as both versions have it, with values that can't be hard-coded."""

    def __init__(self, random: Random, price: str = "", cents: int = 0) -> None:
        minutes = random.integer(1, 1_500_000)
        self.title = f'{random.word()} "{random.text(3)}", {random.word()}'
        self.moment = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
        self.venue: str | None = f"{random.word()} {random.text(3)}"
        # Quarters are exact in floating point: what it gets wrong, one check looks at.
        self.cents = cents or random.integer(41, 399) * 25
        self.price = price or f"{self.cents // 100}.{self.cents % 100:02}"

    def v1(self, **changed: object) -> Show:
        """Return its fields in version 1."""
        when = f"{self.moment:%Y-%m-%d %H:%M}"
        return {"title": self.title, "when": when, "price": self.price, **changed}

    def v2(self, **changed: object) -> Show:
        """Return its fields in version 2."""
        starts_at = f"{self.moment:%Y-%m-%dT%H:%M:00Z}"
        cents, venue = self.cents, self.venue
        fields = {"title": self.title, "starts_at": starts_at, "price_cents": cents, "venue": venue}
        return {**fields, **changed}


def at(base: str, show_id: object) -> str:
    """Return the path of a show."""
    return f"{base}/{show_id}"


def choosing(version: object) -> dict[str, str]:
    """Return the field that chooses a version, or none."""
    return {} if version is None else {VERSION: str(version)}


def send(
    server: Server, method: str, path: str, show: Show | None = None, version: object = None
) -> Reply:
    """Send a request, with a show and the field of a version where there are some."""
    return server.request(method, path, json=show, headers=choosing(version))


def send_broken(server: Server, method: str, path: str, version: object = None) -> Reply:
    """Send a body that breaks off in the middle of its JSON."""
    fields = {"Content-Type": "application/json", **choosing(version)}
    return server.request(method, path, body=b'{"title": ', headers=fields)


def create(server: Server, base: str, show: Show, version: object = None) -> int:
    """Have a show created, and return its id."""
    return id_of(send(server, "POST", base, show, version).expect(201))


def id_of(reply: Reply, sent: object = None) -> int:
    """Return the id of the show in a reply; fail where it is none, or the one that was sent."""
    value = reply.json()
    show_id = value.get("id") if isinstance(value, dict) else None
    if not isinstance(show_id, int) or isinstance(show_id, bool) or show_id < 1:
        reply.fail("an id that is a positive integer")
    if show_id == sent:
        reply.fail(f"an id that the server has chosen, not the {sent} that was sent")
    return show_id


def expect_location(reply: Reply, path: str) -> None:
    """Compare where a new show is said to be."""
    reply.expect(201, headers={"Location": None})
    # What is relative begins at the path that the show was sent to.
    sent_to = path.rpartition("/")[0]
    there = urlsplit(urljoin(sent_to, reply.headers["Location"])).path
    if there != path:
        reply.fail(f"Location: {path}", f"Location: {reply.headers['Location']}"[:200])


def expect_problem(reply: Reply, status: int, name: str) -> Reply:
    """Compare a problem of version 2."""
    wanted = {"type": f"/problems/{name}", "status": status}
    reply.expect(status, json=wanted, type=PROBLEM)
    title = reply.json().get("title")
    if not isinstance(title, str) or not title:
        reply.fail("a title that is a string and not empty")
    return reply


@contextmanager
def advising(hint: str) -> Iterator[None]:
    """Let what fails here bring the hint of its stage."""
    try:
        yield
    except Failure as failure:
        failure.hint = failure.hint or hint
        raise


@pytest.fixture(scope="session")
def port(random: Random) -> int:
    """A port that can't be hard-coded."""
    return random.port()


@pytest.fixture(scope="session")
def dates(random: Random) -> tuple[int, int]:
    """When version 1 was deprecated, and when it ends: in seconds since 1970."""
    now = int(time.time())
    deprecated = now - random.integer(100_000, 30_000_000)
    return deprecated, now + random.integer(10_000_000, 90_000_000)


@pytest.fixture(scope="module")
def published(image: Image, port: int) -> Server:
    """A server whose list is looked at, at another port."""
    return image.start(env={"PORT": str(port)}, port=port)


@pytest.fixture(scope="module")
def box_office(image: Image) -> Server:
    """A server that lives in New York's time, and was told of no end."""
    return image.start(env={"TZ": TIME_ZONE})


@pytest.fixture(scope="module")
def documented(image: Image, dates: tuple[int, int]) -> Server:
    """A server whose replies are compared with its document; version 1 will be deprecated."""
    return image.start(env={"DEPRECATED_AT": str(dates[1])})


@pytest.fixture(scope="module")
def announced(image: Image, dates: tuple[int, int]) -> Server:
    """A server whose version 1 ends in some months."""
    deprecated, sunset = dates
    env = {"TZ": TIME_ZONE, "DEPRECATED_AT": str(deprecated), "SUNSET_AT": str(sunset)}
    return image.start(env=env)


@pytest.fixture(scope="module")
def ended(image: Image, dates: tuple[int, int], random: Random) -> Server:
    """A server whose version 1 ended before it was started."""
    past = int(time.time()) - random.integer(600, 90_000)
    env = {"TZ": TIME_ZONE, "DEPRECATED_AT": str(dates[0]), "SUNSET_AT": str(past)}
    return image.start(env=env)


@pytest.fixture(scope="module")
def ending(image: Image, meanwhile: Meanwhile) -> Story[None]:
    """A server whose version 1 ends while it runs."""
    return meanwhile(lambda: lives_through_the_end(image))


@points(
    2,
    hints=(
        "Which of the recorded exchanges does your server answer differently?",
        (
            "Send each request of v1-exchanges.json with curl, and compare status, type and body."
            ' Version 1 has when and price, a bare list, and errors {"error": "…"}; none of them'
            " changes because version 2 does it better."
        ),
    ),
    link="What breaks a client",
)
def check_keeps_v1(published: Server, random: Random) -> None:
    """Version 1 answers as it always did: shows, lists and errors"""
    send(published, "GET", V1).expect(200, exactly=[])
    shows = [publishes(published, Offer(random)) for _ in range(3)]
    chosen = max(show["id"] for show in shows) + random.integer(1000, 9999)
    # Whatever version 2 would make of these fields, version 1 doesn't know them.
    others = Offer(random).v2(venue=random.integer(2, 99))
    unknown = {**without(others, "title"), "id": chosen, random.word(): chosen}
    shows.append(publishes(published, Offer(random), unknown))
    changed = {**Offer(random).v1(), "id": shows[1]["id"]}
    path = at(V1, changed["id"])
    for sent in (changed, {**changed, "id": shows[0]["id"]}, {**changed, random.word(): 1}):
        send(published, "PUT", path, sent).expect(200, json=changed)
    send(published, "GET", path).expect(200, json=changed)
    shows[1] = changed
    for when in WHENS:
        blanks = {"title": f" {random.word()}  ", "when": when}
        send(published, "PUT", path, {**changed, **blanks}).expect(200, json={**changed, **blanks})
        shows[1] = {**changed, **blanks}
    with advising(
        'Errors are part of version 1 too: application/json and {"error": "<code>"}, whatever'
        " version 2 does."
    ):
        refuses_in_v1(published, random, max(show["id"] for show in shows))
    # The list is compared as a whole: nothing that was refused has left anything.
    send(published, "GET", V1).expect(200, json=in_order(shows))


def in_order(shows: list[Show]) -> list[Show]:
    """Return shows as a list has them: by id."""
    return sorted(shows, key=lambda show: int(show["id"]))


def publishes(server: Server, offer: Offer, more: Show | None = None) -> Show:
    """Create a show in version 1 and find it; return it with its id."""
    sent = offer.v1(**(more or {}))
    reply = send(server, "POST", V1, sent).expect(201, json=offer.v1())
    show = {**offer.v1(), "id": id_of(reply, sent.get("id"))}
    expect_location(reply, at(V1, show["id"]))
    send(server, "GET", at(V1, show["id"])).expect(200, json=show)
    return show


def refuses_in_v1(server: Server, random: Random, last: int) -> None:
    """Send what version 1 always refused, and compare its errors."""
    absent, there = last + random.integer(1000, 9999), at(V1, last)
    like_it = [f"{last}abc", f"-{last}", f"+{last}", f"%20{last}", f"{last}.0"]
    for show_id in (absent, *like_it, "null"):
        expect_error(send(server, "GET", at(V1, show_id)), 404, "not_found")
    for show_id in (absent, f"{last}abc"):
        reply = send(server, "PUT", at(V1, show_id), Offer(random).v1())
        expect_error(reply, 404, "not_found")
    for method, path in (("POST", V1), ("PUT", there)):
        expect_error(send_broken(server, method, path), 400, "bad_json")
        # All of them once; a PUT that looks at nothing shows with one of each.
        few = None if method == "POST" else 2
        for bad in bad_values({"title": NO_TITLES, "when": NO_WHENS, "price": NO_PRICES}, few):
            reply = send(server, method, path, Offer(random).v1(**bad))
            expect_error(reply, 422, "invalid_show")
        for name in ("title", "when", "price"):
            reply = send(server, method, path, without(Offer(random).v1(), name))
            expect_error(reply, 422, "invalid_show")
        for other in (Offer(random).v2(), half_of_v2(Offer(random))):
            expect_error(send(server, method, path, other), 422, "invalid_show")


def half_of_v2(offer: Offer) -> Show:
    """Return a show with its time as in version 1 and its price as in version 2."""
    return {**without(offer.v1(), "price"), "price_cents": offer.cents}


def expect_error(reply: Reply, status: int, code: str) -> None:
    """Compare an error of version 1."""
    with advising(
        "Nothing is repaired: compare the whole id, the whole text and the type of each field,"
        " and look for the fields of version 1 only."
    ):
        reply.expect(status)
    reply.expect(status, json={"error": code})


def bad_values(values: dict[str, tuple[Any, ...]], few: int | None = None) -> Iterator[Show]:
    """Return fields with a value that none may have, one at a time; of each all, or a few."""
    for name, bad in values.items():
        yield from ({name: value} for value in bad[:few])


def without(show: Show, name: str) -> Show:
    """Return a show that lacks a field."""
    return {key: value for key, value in show.items() if key != name}


@points(
    2,
    hints=(
        "What does one version know about a show that the other doesn't, and what happens to it?",
        (
            "Store each show once, in one shape, and translate at the edge. A PUT in version 1"
            " begins with the stored show and sets only title, time and price. Times are UTC in"
            " both versions, whatever TZ says."
        ),
    ),
    link="One truth, two translations",
    needs=("keeps_v1",),
)
def check_shares_one_store(box_office: Server, random: Random) -> None:
    """What one version writes the other reads, and version 1 leaves the venue alone"""
    offer = Offer(random)
    show_id = create(box_office, V1, offer.v1(venue=random.word()))
    in_v2 = send(box_office, "GET", at(V2, show_id)).expect(200)
    with advising_utc():
        in_v2.expect(json={"starts_at": offer.v2()["starts_at"]})
    in_v2.expect(json={**offer.v2(venue=None), "id": show_id})
    show_id = create(box_office, V2, offer.v2())
    in_v1 = send(box_office, "GET", at(V1, show_id)).expect(200)
    with advising_utc():
        in_v1.expect(json={"when": offer.v1()["when"]})
    in_v1.expect(json={**offer.v1(), "id": show_id})
    with advising(
        "A client of version 1 sends all it knows of a show, and that isn't the venue: begin with"
        " the stored show, and change only what version 1 has."
    ):
        keeps_the_venue(box_office, random, show_id, offer)
    replaces_in_v2(box_office, random, show_id)
    lists_in_both(box_office, random)


def advising_utc() -> AbstractContextManager[None]:
    """Return the hint for a time that is another one in the other version."""
    return advising(
        "The time of version 1 is UTC as well. Many ways to read a time without a zone take it for"
        " the machine's own; this machine lives in another zone."
    )


def both_sides(show: Show) -> tuple[Show, Show]:
    """Return what is sent of a show in version 2, and what it is then; its venue may be absent."""
    if show["venue"] != ABSENT:
        return show, show
    return without(show, "venue"), {**show, "venue": None}


def expect_v2(server: Server, show_id: int, fields: Show) -> None:
    """Compare a show as version 2 has it."""
    send(server, "GET", at(V2, show_id)).expect(200, json={**fields, "id": show_id})


def keeps_the_venue(server: Server, random: Random, show_id: int, offer: Offer) -> None:
    """Change a show in version 1, in three ways; it stays where it is."""
    ways: tuple[tuple[str, object, Show], ...] = (
        (at(V1, show_id), None, {}),
        (at(PLAIN, show_id), 1, {}),
        (at(V1, show_id), None, {"venue": random.word()}),
    )
    for path, version, more in ways:
        new = Offer(random)
        send(server, "PUT", path, new.v1(**more), version).expect(200, json=new.v1())
        expect_v2(server, show_id, new.v2(venue=offer.venue))
    send(server, "PUT", at(V1, show_id), Offer(random).v1(title="")).expect(422)
    expect_v2(server, show_id, new.v2(venue=offer.venue))


def replaces_in_v2(server: Server, random: Random, show_id: int) -> None:
    """Change a show in version 2: its venue is what was sent, other fields are ignored."""
    blanks = {"title": f" {random.word()}  ", "venue": f"  {random.word()} "}
    for fields in (blanks, {"venue": None}, {}, {"venue": ABSENT}):
        new = Offer(random)
        sent, wanted = both_sides(new.v2(**fields))
        send(server, "PUT", at(V2, show_id), sent).expect(200, json=wanted)
        expect_v2(server, show_id, wanted)
        send(server, "GET", at(V1, show_id)).expect(200, json=new.v1(title=wanted["title"]))
    chosen = show_id + random.integer(1000, 9999)
    sent = {**wanted, "id": chosen, "when": "2031-01-01 10:00", "price": "1.25"}
    reply = send(server, "PUT", at(V2, show_id), sent)
    reply.expect(200, json={**wanted, "id": show_id})
    id_of(send(server, "POST", V2, sent).expect(201, json=wanted), chosen)


def lists_in_both(server: Server, random: Random) -> None:
    """Create shows in both versions: each version's list has all of them, in one order."""
    made = []
    # Enough for an id of two digits, which a text would put before 2.
    for base in (V1, V2, *random.shuffled([V1, V2] * 4)):
        offer = Offer(random)
        made.append((create(server, base, offer.v1() if base == V1 else offer.v2()), offer, base))
    made.sort(key=lambda one: one[0])
    # A show that is changed keeps its place.
    for show_id, offer, base in made[:2]:
        fields = offer.v1() if base == V1 else offer.v2()
        send(server, "PUT", at(base, show_id), fields).expect(200)
    in_v1 = send(server, "GET", V1).expect(200)
    in_v2 = send(server, "GET", V2).expect(200)
    lists = ((in_v1, in_v1.json()), (in_v2, items_of(in_v2)))
    for reply, shows in lists:
        ids = [show.get("id") if isinstance(show, dict) else show for show in shows]
        known = [show_id for show_id, _, _ in made]
        if [one for one in ids if one in known] != known:
            reply.fail(f"the shows {known}, in this order")
    for show_id, offer, base in made:
        expect_listed(in_v1, lists[0][1], {**offer.v1(), "id": show_id})
        venue = None if base == V1 else offer.venue
        expect_listed(in_v2, lists[1][1], {**offer.v2(venue=venue), "id": show_id})


def items_of(reply: Reply) -> list[Any]:
    """Return the shows in a list of version 2; fail where there are none."""
    value = reply.json()
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, list):
        reply.fail('{"items": [ … ]}')
    return items


def expect_listed(reply: Reply, shows: Any, wanted: Show) -> None:
    """Compare one show of a list."""
    if not isinstance(shows, list):
        reply.fail("a list of shows")
    for show in shows:
        if isinstance(show, dict) and show.get("id") == wanted["id"]:
            seen = {name: show.get(name, "(absent)") for name in wanted}
            if seen != wanted:
                reply.fail(json.dumps(wanted, ensure_ascii=False), f"in the list: {seen}"[:300])


@points(
    1,
    hints=(
        "What does your language make of 19.99 times 100?",
        (
            "Match the text with ^(0|[1-9][0-9]{0,4})\\.([0-9]{2})$ and put both groups together as"
            " digits. On the way back, pad the cents to three digits and put the point before the"
            " last two."
        ),
    ),
    link="Money is counted, not measured",
    needs=("keeps_v1", "shares_one_store"),
)
def check_converts_money_exactly(box_office: Server, random: Random) -> None:
    """19.99 is 1999 cents in both directions, and 1.1 is no price"""
    drawn = [random.integer(1, 999) * 100 + 99 for _ in range(3)]
    prices = {**PRICES, **{f"{cents // 100}.{cents % 100}": cents for cents in drawn}}
    for price, cents in prices.items():
        offer = Offer(random, price, cents)
        show_id = create(box_office, V1, offer.v1())
        send(box_office, "GET", at(V2, show_id)).expect(200, json={"price_cents": cents})
        show_id = create(box_office, V2, offer.v2())
        send(box_office, "GET", at(V1, show_id)).expect(200, json={"price": price})
    with advising(
        "A price in version 1 is text with exactly two decimals, from 0.01 to 99999.99, and without"
        " a leading zero; repair nothing."
    ):
        show_id = create(box_office, V1, Offer(random).v1())
        for price in NO_DECIMALS:
            send(box_office, "POST", V1, Offer(random).v1(price=price)).expect(422)
        for price in NO_DECIMALS[:4]:
            send(box_office, "PUT", at(V1, show_id), Offer(random).v1(price=price)).expect(422)


@points(
    1,
    hints=(
        "Which field of a request made you choose this reply, and does the reply say so?",
        (
            "Read Lantern-Version, and take 1 if it is absent; answer 400 to anything but"
            " exactly 1 and 2. Set Vary: Lantern-Version before anything can fail: every reply"
            " at these paths needs it."
        ),
    ),
    link="Three places for a version",
    needs=("keeps_v1",),
)
def check_picks_a_version(box_office: Server, ended: Server, random: Random) -> None:
    """At /shows the field Lantern-Version chooses, 1 without it, and Vary says so"""
    show_id = 0
    for version in (None, 1, 2):
        offer = Offer(random)
        sent = offer.v2() if version == 2 else offer.v1()
        reply = send(box_office, "POST", PLAIN, sent, version).expect(201)
        expect_version(reply, version, offer)
        show_id = id_of(reply)
        path = at(PLAIN, show_id)
        expect_location(reply, path)
        expect_version(send(box_office, "GET", path, None, version).expect(200), version, offer)
        expect_version(send(box_office, "PUT", path, sent, version).expect(200), version, offer)
        refuses_in(box_office, random, version)
    listed = send(box_office, "GET", PLAIN).expect(200)
    if not isinstance(listed.json(), list):
        listed.fail("the list of version 1, as no version is named")
    expect_vary(listed)
    listed = send(box_office, "GET", PLAIN, None, 2).expect(200)
    items_of(listed)
    expect_vary(listed)
    refuses_versions(box_office, random, show_id)
    expect_vary(send(ended, "GET", PLAIN, None, 1))
    with advising("Below /v1 and /v2 the path has chosen already; the field means nothing there."):
        show_id = create(box_office, V1, offer.v1())
        for version in (2, 3):
            reply = send(box_office, "GET", at(V1, show_id), None, version)
            reply.expect(200, json={"price": offer.price})
        show_id = create(box_office, V2, offer.v2())
        for version in (1, 3):
            reply = send(box_office, "GET", at(V2, show_id), None, version)
            reply.expect(200, json={"price_cents": offer.cents})


def expect_version(reply: Reply, version: object, offer: Offer) -> None:
    """Look which version a show is in; by its price, as other checks look at times."""
    wanted = {"price_cents": offer.cents} if version == 2 else {"price": offer.price}
    reply.expect(json=wanted)
    expect_vary(reply)


def expect_vary(reply: Reply) -> None:
    """Expect Vary to name the field that chose the version."""
    told = [name.strip().lower() for name in reply.headers.get("Vary", "").split(",")]
    if VERSION.lower() not in told and "*" not in told:
        looked_for = f"{reply.status} · Vary: {VERSION}"
        reply.fail(looked_for, f"{reply.status} · Vary: {reply.headers.get('Vary', '(absent)')}")


def refuses_in(server: Server, random: Random, version: object) -> None:
    """Ask for a show that there is not, and send two that are none: errors have a version too."""
    absent = at(PLAIN, random.integer(100_000, 999_999))
    refused = (
        (send(server, "GET", absent, None, version), 404, "not-found"),
        (send(server, "POST", PLAIN, {"title": random.word()}, version), 422, "invalid-show"),
        (send_broken(server, "POST", PLAIN, version), 400, "bad-json"),
    )
    for reply, status, name in refused:
        if version == 2:
            # What else a problem has, another check looks at.
            reply.expect(status, json={"type": f"/problems/{name}"}, type=PROBLEM)
        else:
            reply.expect(status, json={"error": name.replace("-", "_")})
        expect_vary(reply)


def refuses_versions(server: Server, random: Random, show_id: int) -> None:
    """Name versions that there are not; nothing is created in them."""
    unknown = {"error": "unknown_version", "supported": [1, 2]}
    for version in NO_VERSIONS:
        for path in (PLAIN, at(PLAIN, show_id)):
            expect_vary(send(server, "GET", path, None, version).expect(400, json=unknown))
    offer = Offer(random)
    for sent in (offer.v1(), offer.v2()):
        expect_vary(send(server, "POST", PLAIN, sent, 3).expect(400, json=unknown))
        reply = send(server, "PUT", at(PLAIN, show_id), sent, 3)
        expect_vary(reply.expect(400, json=unknown))
    if offer.title in send(server, "GET", V1).expect(200).text:
        fail("nothing is created by a request that is refused", f"{offer.title} in the list")


@points(
    2,
    hints=(
        "Look at all header fields of a reply of version 1, and of one of version 2.",
        (
            "Set the fields before anything else happens, on version 1 only: Deprecation is @"
            " and the seconds, Sunset an HTTP date (toUTCString() in JavaScript, formatdate(…,"
            " usegmt=True) in Python), Link the same path below /v2. Then compare the clock with"
            " SUNSET_AT in each request."
        ),
    ),
    link="Say it in the reply",
)
def check_announces_the_end(
    announced: Server, ended: Server, box_office: Server, documented: Server,
    ending: Story[None], dates: tuple[int, int], random: Random,
) -> None:  # fmt: skip
    """Version 1 announces its end in each reply, and answers 410 when the time has come"""
    show_id = announces(announced, random, dates)
    with advising("Only version 1 ends: a reply of version 2 has none of the three fields."):
        says_nothing_in_v2(announced, random, show_id)
    with advising("A variable that isn't set has no field; look for it before you use it."):
        reply = send(box_office, "GET", V1).expect(200)
        expect_silence(reply, ("Deprecation", "Sunset"))
        reply = send(documented, "GET", V1)
        reply.expect(200, headers={"Deprecation": f"@{dates[1]}"})
        expect_silence(reply, ("Sunset",))
    with advising(
        "After SUNSET_AT every request to version 1 is answered with 410 and a problem, also by the"
        " paths without a version; version 2 carries on."
    ):
        is_gone(ended, random, ways_to_v1(announced))
    ending.result()


def announces(server: Server, random: Random, dates: tuple[int, int]) -> int:
    """Look at the fields of all kinds of replies of version 1; return a show's id."""
    offer = Offer(random)
    show_id = create(server, V2, offer.v2())
    absent = random.integer(100_000, 999_999)
    for base, version in ways_to_v1(server):
        with advising(
            "SUNSET_AT is months ahead, and until then version 1 works. A timer of more than 24.8"
            " days overflows in Node; compare the clock in each request instead."
        ):
            send(server, "GET", base, None, version).expect(200)
        # Which status each has, other checks look at.
        requests: list[tuple[str, str, Show | None]] = [
            ("GET", base, None),
            ("GET", at(base, show_id), None),
            ("POST", base, offer.v1()),
            ("PUT", at(base, show_id), offer.v1()),
            ("GET", at(base, absent), None),
            ("POST", base, {"title": offer.title}),
        ]
        for method, path, show in requests:
            reply = send(server, method, path, show, version)
            expect_announcement(reply, dates, path.replace(base, V2))
        expect_announcement(send_broken(server, "POST", base, version), dates, V2)
    return show_id


def expect_announcement(reply: Reply, dates: tuple[int, int], successor: str) -> None:
    """Compare the three fields of a reply of version 1."""
    deprecated, sunset = dates
    reply.expect(
        headers={
            "Deprecation": f"@{deprecated}",
            "Sunset": format_datetime(datetime.fromtimestamp(sunset, UTC), usegmt=True),
            "Link": None,
        }
    )
    links = LINK.findall(reply.headers["Link"])
    paths = [urlsplit(target).path for target, parameters in links if SUCCESSOR.search(parameters)]
    if paths != [successor]:
        wanted = f'Link: <{successor}>; rel="successor-version"'
        reply.fail(wanted, f"Link: {reply.headers['Link']}"[:200])


def says_nothing_in_v2(server: Server, random: Random, show_id: int) -> None:
    """Look at all kinds of replies of version 2."""
    offer, absent = Offer(random), random.integer(100_000, 999_999)
    for base, version in ((V2, None), (PLAIN, 2)):
        for reply in (
            send(server, "GET", base, None, version),
            send(server, "GET", at(base, show_id), None, version),
            send(server, "POST", base, offer.v2(), version),
            send(server, "GET", at(base, absent), None, version),
        ):
            expect_silence(reply, ANNOUNCEMENTS)


def expect_silence(reply: Reply, names: tuple[str, ...]) -> None:
    """Expect none of the fields in a reply; links of other kinds are free."""
    for name in names:
        seen = reply.headers.get(name)
        if seen is not None and (name != "Link" or SUCCESSOR.search(seen)):
            reply.fail(f"no field {name}", f"{reply.status} · {name}: {seen}"[:200])


def ways_to_v1(server: Server) -> list[tuple[str, object]]:
    """Return paths and versions that lead to version 1; that no version does, another check says.

    Args:
        server: whose version 1 has not ended.
    """
    has_default = send(server, "GET", PLAIN).text.lstrip().startswith("[")
    return [(V1, None), (PLAIN, 1), *([(PLAIN, None)] if has_default else [])]


def is_gone(server: Server, random: Random, ways: list[tuple[str, object]]) -> None:
    """Ask for version 1 after its end, in each way; version 2 is as well as ever."""
    offer, lost = Offer(random), Offer(random)
    show_id = create(server, V2, offer.v2())
    absent = random.integer(100_000, 999_999)
    for base, version in ways:
        for method, path, show in (
            ("GET", base, None), ("GET", at(base, show_id), None), ("GET", at(base, absent), None),
            ("POST", base, lost.v1()), ("POST", base, {"title": lost.title}),
            ("PUT", at(base, show_id), lost.v1()),
        ):  # fmt: skip
            expect_problem(send(server, method, path, show, version), 410, "version-ended")
        expect_problem(send_broken(server, "POST", base, version), 410, "version-ended")
    expect_v2(server, show_id, offer.v2())
    reply = send(server, "GET", PLAIN, None, 2).expect(200)
    if lost.title in reply.text:
        reply.fail("nothing that was sent to a version that has ended")


def lives_through_the_end(image: Image) -> None:
    """Ask a server for version 1 before and after its end, without starting it again."""
    # On a machine so busy that the end comes before the first reply, it comes later the next time.
    for margin_s in (5, 12, 60):
        sunset = int(time.time()) + margin_s
        server = image.start(env={"TZ": TIME_ZONE, "SUNSET_AT": str(sunset)})
        before = send(server, "GET", V1)
        if time.time() < sunset:
            break
    with advising(
        "Before SUNSET_AT version 1 works, with the field of the variable that is set and without"
        " the other. SUNSET_AT counts seconds; some clocks, such as Date.now(), milliseconds."
    ):
        before.expect(200, headers={"Sunset": None})
        expect_silence(before, ("Deprecation",))
    within_s = max(0.0, sunset - time.time()) + 3
    with advising("Compare the clock with SUNSET_AT in each request, not once at the start."):
        eventually(lambda: send(server, "GET", V1).expect(410), within_s=within_s)
    send(server, "GET", V2).expect(200)


@points(
    2,
    hints=(
        "Which reply of your server isn't in your document, and which wrong one does it accept?",
        (
            "List each status of each operation by its number, with its media type and a schema;"
            ' name the fields in required, with their types. Null is a type: [string, "null"].'
        ),
    ),
    link="A document that can't lie",
    needs=("keeps_v1",),
)
def check_documents_v2(documented: Server, submission: Submission, random: Random) -> None:
    """openapi.v2.yaml is valid, all kinds of replies conform to it, and spoiled ones don't"""
    document = Document(submission)
    replies = list(talks(documented, random))
    for operation, reply in replies:
        document.expect_reply(operation, reply)
    for operation, reply in replies:
        document.expect_no_other(operation, reply)
    for operation in (CREATION, REPLACING):
        document.expect_request_body(operation, random)


ONE = f"{V2}/{{}}"
Operation = tuple[str, str]
LISTING, CREATION, READING, REPLACING = ("GET", V2), ("POST", V2), ("GET", ONE), ("PUT", ONE)
# Values of another type for each field of the contract. Others belong to the answer.
OTHERS_IN_SHOWS: dict[str, tuple[object, ...]] = {
    "id": ("seven", 7.5, {}, None), "title": (7, {}, None), "starts_at": (1804188600, {}, None),
    "price_cents": ("2500", 25.5, {}, None), "venue": (7, {}),
}  # fmt: skip
OTHERS_IN_PROBLEMS: dict[str, tuple[object, ...]] = {
    "type": (7, {}, None), "title": (7, {}, None), "status": ("404", {}, None),
}  # fmt: skip


def talks(server: Server, random: Random) -> Iterator[tuple[Operation, Reply]]:
    """Send all kinds of requests to version 2; each reply is as the contract has it."""
    yield LISTING, send(server, "GET", V2).expect(200, json={"items": []})
    shows: list[Show] = []
    for fields in ({}, {"venue": None}, {"venue": ABSENT}):
        sent, wanted = both_sides(Offer(random).v2(**fields))
        reply = send(server, "POST", V2, sent).expect(201, json=wanted)
        path = at(V2, show_id := id_of(reply))
        expect_location(reply, path)
        yield CREATION, reply
        yield READING, send(server, "GET", path).expect(200, json={**wanted, "id": show_id})
        sent, wanted = both_sides(Offer(random).v2(**fields))
        yield REPLACING, send(server, "PUT", path, sent).expect(200, json=wanted)
        shows.append({**wanted, "id": show_id})
    yield from refuses_in_v2(server, random, show_id)
    # Last, as a request that is refused changes nothing.
    yield LISTING, send(server, "GET", V2).expect(200, json={"items": in_order(shows)})


def refuses_in_v2(
    server: Server, random: Random, show_id: int
) -> Iterator[tuple[Operation, Reply]]:
    """Send what version 2 refuses; each reply is a problem."""
    absent = at(V2, random.integer(100_000, 999_999))
    for path in (absent, at(V2, f"{show_id}abc")):
        yield READING, expect_problem(send(server, "GET", path), 404, "not-found")
        reply = send(server, "PUT", path, Offer(random).v2())
        yield REPLACING, expect_problem(reply, 404, "not-found")
    values = {"title": NO_TITLES, "starts_at": NO_STARTS, "price_cents": NO_CENTS,
              "venue": NO_VENUES}  # fmt: skip
    for operation, path, few in ((CREATION, V2, None), (REPLACING, at(V2, show_id), 2)):
        method, _ = operation
        yield operation, expect_problem(send_broken(server, method, path), 400, "bad-json")
        show = Offer(random).v2()
        bad = [{**show, **value} for value in bad_values(values, few)]
        bad += [without(show, name) for name in ("title", "starts_at", "price_cents")]
        bad += [Offer(random).v1(), half_of_v2(Offer(random))]
        for sent in bad:
            reply = send(server, method, path, sent)
            yield operation, expect_problem(reply, 422, "invalid-show")


class PlainLoader(yaml.SafeLoader):
    """Reads YAML as JSON would be: without dates, and without aliases that grow."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse an alias; compose everything else."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias (*name)")
        return super().compose_node(parent, index)


PlainLoader.yaml_implicit_resolvers = {
    letter: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Document:
    """The description of version 2, as it was handed in.

    It comes from a stranger, so it is read without aliases, outside references and patterns.

    Args:
        submission: the answer with the document.
    """

    def __init__(self, submission: Submission) -> None:
        with reading_schemas():
            self.root = plain(self._read(submission))
            if self._size(self.root, {}) > LIMIT_NODES:
                fail_in("", "at most 50,000 nodes with all references followed", "more of them")
        if not isinstance(self.root, dict) or not str(self.root.get("openapi")).startswith("3.1"):
            fail("openapi: 3.1.…", "another version or none", command=f"head {DOCUMENT}")
        with reading_schemas():
            error = next(iter(OpenAPIV31SpecValidator(self.root).iter_errors()), None)
        if error is not None:
            place = pointer(getattr(error, "absolute_path", ()))
            fail_as_invalid(place, str(getattr(error, "message", error)))
        self._registry = Registry().with_resource(DECLARED, DRAFT202012.create_resource(self.root))

    def _read(self, submission: Submission) -> Any:
        if DOCUMENT not in submission.files:
            fail(DOCUMENT, "no such file")
        data = submission.files[DOCUMENT]
        if len(data) > LIMIT_DOCUMENT_BYTES:
            fail(f"at most {LIMIT_DOCUMENT_BYTES:,} bytes", f"{len(data):,}")
        with suppress(ValueError, RecursionError):
            # As YAML, JSON may not be indented with tabs.
            return json.loads(data)
        try:
            # Numbers and booleans as keys become text here, as the 200 of a response.
            return json.loads(json.dumps(yaml.load(data.decode(), PlainLoader)))  # noqa: S506
        except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
            fail("YAML or JSON", f"{error}"[:200], command=f"cat {DOCUMENT}")

    def _node(self, *path: str) -> tuple[str, dict[str, Any]]:
        """Return the place of a node and the node, behind its references; empty if none is."""
        node: Any = self.root
        place = ""
        for part in ("", *path):
            if part:
                node = node.get(part) if isinstance(node, dict) else None
                place += pointer([part])
            for _ in range(LIMIT_REFERENCES):
                if not isinstance(node, dict) or not isinstance(node.get("$ref"), str):
                    break
                place = unquote(node["$ref"])[1:]
                node = self._at(place)
        return place, node if isinstance(node, dict) else {}

    def _at(self, place: str) -> Any:
        """Return what is at a JSON Pointer; None if nothing is."""
        node: Any = self.root
        for part in place.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            node = node.get(name) if isinstance(node, dict) else None
        return node

    def _size(self, node: Any, known: dict[str, int]) -> int:
        """Return how many nodes there are with all references followed, each circle once."""
        if isinstance(node, list):
            return 1 + sum(self._size(item, known) for item in node)
        if not isinstance(node, dict):
            return 1
        inside = sum(self._size(item, known) for item in node.values())
        if isinstance(node.get("$ref"), str):
            place = unquote(node["$ref"])[1:]
            if place not in known:
                known[place] = 1
                known[place] = self._size(self._at(place), known)
            inside += known[place]
        return 1 + inside * (UNEVALUATED_TIMES if UNEVALUATED & node.keys() else 1)

    def _operation(self, operation: Operation) -> tuple[str, ...]:
        """Return the way to an operation; its path may call the id as it likes."""
        method, template = operation
        _, paths = self._node("paths")
        same = [path for path in paths if re.sub(r"\{[^/{}]+\}", "{}", path) == template]
        ways = [way for path in same if self._node(*(way := ("paths", path, method.lower())))[1]]
        if not ways:
            fail_in("/paths", said(operation), ", ".join(paths)[:200] or "no paths")
        return ways[0]

    def _schema(self, way: tuple[str, ...], media_type: str, what: str) -> str:
        """Return the place of the schema of a body."""
        _, content = self._node(*way, "content")
        same = [name for name in content if name.partition(";")[0].strip().lower() == media_type]
        places = [self._node(*way, "content", name) for name in same]
        found = [place for place, media in places if "schema" in media]
        if not found:
            wanted = f"{media_type} with a schema, for {what}"
            fail_in(pointer(way), wanted, ", ".join(content) or "no content")
        return f"{found[0]}/schema"

    def _reply_schema(self, operation: Operation, reply: Reply) -> str:
        way = (*self._operation(operation), "responses", str(reply.status))
        _, response = self._node(*way)
        if not response:
            _, known = self._node(*way[:-1])
            reply.fail(
                f"a status that {DOCUMENT} has for {said(operation)}: {', '.join(known)}",
                f"{reply.status}, which isn't in it",
            )
        return self._schema(way, reply.type, f"the {reply.status} of {said(operation)}")

    def _why_not(self, place: str, value: object) -> str:
        """Return why a value does not satisfy the schema at a place; empty if it does."""
        schema = {"$ref": f"{DECLARED}#{quote(place, safe='/~')}"}
        with reading_schemas():
            error: ValidationError | None = next(
                Draft202012Validator(schema, registry=self._registry).iter_errors(value), None
            )
        if error is None:
            return ""
        return f"{'/'.join(map(str, error.absolute_path)) or 'the body'}: {error.message}"[:300]

    def expect_reply(self, operation: Operation, reply: Reply) -> None:
        """Look for a reply in the document: its status, its type, its body."""
        place = self._reply_schema(operation, reply)
        why = self._why_not(place, reply.json())
        if why:
            sent = json.dumps(reply.json(), ensure_ascii=False)[:200]
            wanted = f"a schema that accepts the {reply.status} of {said(operation)}: {sent}"
            fail_in(place, wanted, why)

    def expect_no_other(self, operation: Operation, reply: Reply) -> None:
        """Spoil a reply, field by field: the document refuses each of these bodies."""
        place = self._reply_schema(operation, reply)
        for what, bad in spoiled_reply(operation, reply):
            if not self._why_not(place, bad):
                fail_as_lenient(place, f"the {reply.status} of {said(operation)}", what)

    def expect_request_body(self, operation: Operation, random: Random) -> None:
        """Expect a schema that accepts every valid show and refuses what is none."""
        way = (*self._operation(operation), "requestBody")
        _, body = self._node(*way)
        if body.get("required") is not True:
            fail_in(pointer(way), "required: true", f"{body.get('required', 'no such field')}")
        place = self._schema(way, "application/json", f"the body of {said(operation)}")
        show = Offer(random).v2()
        valid = (show, {**show, "venue": None}, without(show, "venue"), {**show, "price_cents": 1},
                 {**show, "price_cents": 9_999_999, "title": "A", "venue": "B"})  # fmt: skip
        for sent in valid:
            why = self._why_not(place, sent)
            if why:
                fail_in(place, f"{json.dumps(sent, ensure_ascii=False)} is a valid show", why)
        for what, bad in spoiled(show, OTHERS_IN_SHOWS):
            if what != "without venue" and not self._why_not(place, bad):
                fail_as_lenient(place, f"the body of {said(operation)}", what)


def said(operation: Operation) -> str:
    """Return an operation as a reader knows it."""
    method, template = operation
    return f"{method} {template.replace('{}', '{id}')}"


def spoiled(body: Show, others: dict[str, tuple[object, ...]]) -> Iterator[tuple[str, Show]]:
    """Return a body without each field of the contract, and with a value of another type in it."""
    for name in body:
        if name in others:
            yield f"without {name}", without(body, name)
            for value in others[name]:
                yield f"with {name}: {json.dumps(value)}", {**body, name: value}


def spoiled_reply(operation: Operation, reply: Reply) -> Iterator[tuple[str, Show]]:
    """Return the body of a problem, of a list or of a show in ways in which it may not be."""
    body = reply.json()
    if reply.status >= BAD_REQUEST:
        yield from spoiled(body, OTHERS_IN_PROBLEMS)
    elif operation == LISTING:
        yield from spoiled_list(body)
    else:
        yield from spoiled(body, OTHERS_IN_SHOWS)


def spoiled_list(body: Show) -> Iterator[tuple[str, Show]]:
    """Return a list without items, with another type of them, and with its first one spoiled."""
    yield "without items", without(body, "items")
    yield "with items: {}", {**body, "items": {}}
    for what, bad in spoiled(body["items"][0], OTHERS_IN_SHOWS) if body["items"] else ():
        yield f"{what} in items/0", {**body, "items": [bad, *body["items"][1:]]}


def pointer(way: Iterable[object]) -> str:
    """Return the JSON Pointer of a way into the document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in way)


def fail_in(place: str, looked_for: str, saw: str, command: str = COMMAND_TO_READ) -> NoReturn:
    """End the check over a place in the document, a JSON Pointer.

    Raises:
        Failure: always.
    """
    parts = unquote(place).strip("/").split("/")
    where = " > ".join(part.replace("~1", "/").replace("~0", "~") for part in parts)
    fail(looked_for, f"in {DOCUMENT}, at {where or 'the top'}: {saw}"[:400], command=command)


def fail_as_lenient(place: str, body: str, what: str) -> NoReturn:
    """End the check over a schema that accepts a body which it should refuse.

    Raises:
        Failure: always.
    """
    with advising(
        "A schema without required and types accepts anything. Name the fields of this page under"
        " required, and each of them under properties with its type."
    ):
        fail_in(place, "a schema that refuses a wrong body", f"{body} is accepted {what}")
    raise AssertionError


def fail_as_invalid(place: str, told: str) -> NoReturn:
    """End the check over a document that a validator refuses as well.

    Raises:
        Failure: always.
    """
    # What a reference doesn't find is told with the whole document behind it.
    why = told.splitlines()[0].partition(" within {")[0]
    fail_in(place, "a valid OpenAPI 3.1 document", why, COMMAND_TO_VALIDATE)


@contextmanager
def reading_schemas() -> Iterator[None]:
    """Turn any error that a broken schema causes into a failure."""
    try:
        yield
    except Failure:
        raise
    except Exception as error:  # noqa: BLE001 - a stranger's schema can fail in any way
        fail_as_invalid("", str(error) or type(error).__name__)


def plain(value: Any) -> Any:
    """Return a document without patterns, which may never end; refuse outside references.

    Raises:
        Failure: there is such a reference.
    """
    value = copy.copy(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    target = value.get("$ref")
    if isinstance(target, str) and not target.startswith("#/"):
        fail_in("", "each $ref begins with #/", f"$ref: {target}"[:120])
    for name in ("$id", "$dynamicRef", "patternProperties"):
        if name in value:
            fail_in("", "a document without $id, $dynamicRef and patternProperties", name)
    return {
        name: plain(item)
        for name, item in value.items()
        if not (name == "pattern" and isinstance(item, str))
    }
