import csv
import io
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Failure,
    Image,
    Random,
    Reply,
    Server,
    at_once,
    fail,
    points,
)

OK = 200
CREATED = 201
SHOWS = "/api/shows"
MERGE_PATCH = "application/merge-patch+json"
NO_SUCH = {"error": "not_found"}
INVALID = {"error": "invalid_show"}
TAKEN = {"error": "seat_taken"}
STRONG_TAG = re.compile(r'"[\x21\x23-\x7e]+"')
LINK = re.compile(r"<([^>]*)>([^<]*)")
NEXT = re.compile(r'\brel\s*=\s*(?:next\b|"(?:[^"]*\s)?next(?:\s[^"]*)?")', re.IGNORECASE)
EDITORS = 8
REPEATS = 10
# More than a hundred pages of a few dozen shows: this answer goes round in circles.
LIMIT_PAGES = 100

NO_TIMES = (
    "tomorrow", "", "2027-03-01", "2027-03-01T19:30:00", "2027-03-01T19:30:00+00:00",
    "2027-03-01 19:30:00Z", "2027-02-30T19:30:00Z", "2027-13-01T19:30:00Z",
    "2027-03-01T24:00:00Z", "2027-3-1T19:30:00Z", "2027-03-01T19:30:00.000Z",
    "2027-03-01T19:30:00Zx", "2027-03-01T19:30:00Z\n", "2027-03-01t19:30:00z", 1804188600, None,
    True, "2027-02-29T19:30:00Z", "2027-04-31T19:30:00Z", "2027-03-01T19:60:00Z",
    "2027-03-01T19:3\uff10:00Z",
)  # fmt: skip
NO_PRICES = (0, -2500, 25.5, "2500", "", None, True, [2500])
NO_TITLES = ("", None, 7, True, ["Hamlet"], {"en": "Hamlet"})
NO_NOTES = (7, True, ["sold out"], {"en": "sold out"})
NO_IDS = ("{0}abc", "abc{0}", "-{0}", "{0}.0", "0x{0:x}", "constructor", "null", "%20{0}")
NO_SEATS = ("a1", "A0", "A01", "A11", "G1", "xA1", "A1x", " A1", "A1\n", "", None, 4, ["A1"])
NO_USERS = ("", None, 7, ["ada"])
NO_MERGE_PATCHES = (
    "application/json", "application/json-patch+json", "text/plain", "application/merge-patch",
    "application/json; profile=merge-patch+json", "",
)  # fmt: skip
# The last one is a 5 of full width, which is a digit in Unicode and to Python's int().
NO_LIMITS = (
    "0", "51", "-1", "2.5", "1e1", "0x10", "1_0", "{0}abc", "%20{0}", "ten", "NaN",
    "%EF%BC%95",
)  # fmt: skip

Show = dict[str, Any]


class Programme:
    """Shows that nobody can type in, and the usual requests for them.

    Args:
        server: of the answer.
        random: values of this run.
    """

    def __init__(self, server: Server, random: Random) -> None:
        self.server = server
        self.random = random
        self._prices: set[int] = set()

    def fields(self, *, note: bool = False, starts_at: str = "") -> Show:
        """Return a new show without an id."""
        random = self.random
        show: Show = {
            "title": f'{random.word()} "{random.text(3)}", {random.word()}',
            "starts_at": starts_at or new_time(random),
            "price_cents": self._price(),
        }
        return show | {"note": f"{random.word()} {random.text(4)}"} if note else show

    def _price(self) -> int:
        """Return a price that no other show has: one that is set again would be no change."""
        while (cents := self.random.integer(1001, 9999)) in self._prices:
            pass
        self._prices.add(cents)
        return cents

    def create(self, show: Show | None = None) -> Show:
        """Have a show created, and return it with its id; its other fields are looked at once."""
        sent = show or self.fields()
        return {**sent, "id": id_of(self.server.post(SHOWS, json=sent).expect(201))}

    def tagged(self, show_id: int) -> tuple[Show, str]:
        """Return a show and its ETag, whatever that is like."""
        reply = self.server.get(path_of(show_id)).expect(200, json={"id": show_id})
        return reply.json(), reply.headers.get("ETag", "")

    def put(self, show_id: int, show: Show, tag: str | None) -> Reply:
        """Replace a show."""
        return self.server.request("PUT", path_of(show_id), json=show, headers=matching(tag))

    def patch(self, show_id: int, patch: object, tag: str | None, kind: str = MERGE_PATCH) -> Reply:
        """Send a patch of the given type, of none where that is empty."""
        headers = {**matching(tag), **({"Content-Type": kind} if kind else {})}
        body = json.dumps(patch, ensure_ascii=False).encode()
        return self.server.request("PATCH", path_of(show_id), body=body, headers=headers)

    def edit(self, show_id: int, patch: Show) -> None:
        """Change a show as well as the answer can; other checks look at what it can't do."""
        with suppress(Failure):
            _, tag = self.tagged(show_id)
            self.patch(show_id, patch, tag)

    def book(self, show_id: object, seat: str, user: str, key: str | None = None) -> Reply:
        """Ask for a seat."""
        headers = {"Idempotency-Key": key} if key else {}
        booking = {"seat": seat, "user": user}
        return self.server.post(f"{path_of(show_id)}/bookings", json=booking, headers=headers)

    def expect_show(self, show: Show) -> Reply:
        """Compare what the answer has of a show."""
        return self.server.get(path_of(show["id"])).expect(200, json=show)


def new_time(random: Random) -> str:
    """Return a time in the years 2027 to 2029."""
    minutes = random.integer(1, 1_500_000)
    return f"{datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes):%FT%TZ}"


def path_of(show_id: object) -> str:
    """Return the path of a show."""
    return f"{SHOWS}/{show_id}"


def matching(tag: str | None) -> dict[str, str]:
    """Return the field If-Match, or none."""
    return {} if tag is None else {"If-Match": tag}


def created(reply: Reply, sent: Show) -> Show:
    """Compare a 201 with the show that was sent, and return that show with its new id."""
    reply.expect(201, json=sent)
    expect_no_note_but(reply, sent)
    return {**sent, "id": id_of(reply)}


def id_of(reply: Reply) -> int:
    """Return the id of the show in a reply; fail where it is none."""
    value = reply.json()
    show_id = value.get("id") if isinstance(value, dict) else None
    if not isinstance(show_id, int) or isinstance(show_id, bool) or show_id < 1:
        reply.fail("an id that is a positive integer")
    return show_id


def expect_no_note_but(reply: Reply, show: Show) -> None:
    """Check that a show without a note has no such field."""
    if "note" not in show and "note" in reply.json():
        reply.fail("a show without the field note")


def tag_of(reply: Reply) -> str:
    """Return the ETag of a reply; fail where it is no strong one."""
    seen = reply.headers.get("ETag", "")
    if not STRONG_TAG.fullmatch(seen):
        reply.fail('a strong ETag, "…"', f"{reply.status} · ETag: {seen or '(absent)'}"[:200])
    return seen


@contextmanager
def advising(hint: str) -> Iterator[None]:
    """Let what fails here bring the hint of its stage."""
    try:
        yield
    except Failure as failure:
        failure.hint = failure.hint or hint
        raise


@pytest.fixture(scope="module")
def programme(image: Image, random: Random) -> Programme:
    """An API whose list nobody counts."""
    return Programme(image.start(), random)


@pytest.fixture(scope="module")
def season(image: Image, random: Random) -> Programme:
    """An API whose list is paged."""
    return Programme(image.start(), random)


@pytest.fixture(scope="module")
def brochure(image: Image, random: Random) -> Programme:
    """An API whose list is asked for in two formats."""
    return Programme(image.start(), random)


@pytest.fixture(scope="session")
def port(random: Random) -> int:
    """A port that nobody can type in beforehand."""
    return random.port()


@pytest.fixture(scope="module")
def moved(image: Image, random: Random, port: int) -> Programme:
    """An API at another port."""
    return Programme(image.start(env={"PORT": str(port)}, port=port), random)


@points(
    1,
    hints=(
        (
            "Send the request from the report yourself. What does your server do with the id,"
            " and with values of the wrong type?"
        ),
        (
            "Count ids up and never back; take only the four fields from the body; look at the"
            " type of each value (a string isn't a number) before you store anything; answer 201"
            " with Location: /api/shows/<id> and the ETag."
        ),
    ),
    link="A name for every thing",
)
def check_creates_and_finds(programme: Programme, moved: Programme) -> None:
    """Shows are created, found at their Location, refused if they aren't valid, and deleted"""
    seen = [creates_one(programme, note=note) for note in (False, True)]
    chosen = max(seen) + programme.random.integer(1000, 9999)
    for _ in range(2):
        reply = programme.server.post(SHOWS, json={"id": chosen, **programme.fields()}).expect(201)
        if id_of(reply) == chosen:
            reply.fail("an id that the server has chosen", f"{chosen}, which the client sent")
        seen.append(id_of(reply))
    programme.server.get(path_of(chosen)).expect(404, json=NO_SUCH)
    if len(set(seen)) < len(seen):
        fail("another id for each show", f"the ids {seen}")
    refuses_what_is_no_show(programme)
    with advising(
        "Take every text that isn't empty, and store it as it came: no trim, no limit. A price may"
        " exceed 32 bits; an id in the body is ignored, whatever its type."
    ):
        seen += keeps_what_is_unusual(programme)
    with advising(
        "Compare the name of the media type only, in lower case: a charset may follow, and"
        " Application/JSON is the same type."
    ):
        seen += takes_any_form_of_json(programme)
    deletes(programme, seen)
    moved.create()


def creates_one(programme: Programme, *, note: bool) -> int:
    """Create a show and follow Location to it."""
    sent = programme.fields(note=note)
    reply = programme.server.post(SHOWS, json=sent)
    show = created(reply, sent)
    reply.expect(headers={"Location": None})
    there = urlsplit(urljoin(SHOWS, reply.headers["Location"])).path
    found = programme.server.get(there).expect(200, json=show)
    expect_no_note_but(found, show)
    # An answer that has no ETags yet learns that from another check.
    if "ETag" in found.headers:
        reply.expect(headers={"ETag": found.headers["ETag"]})
    programme.expect_show(show)
    return int(show["id"])


def refuses_what_is_no_show(programme: Programme) -> None:
    """Send shows with one bad value each."""
    for bad in bad_values():
        sent = {**programme.fields(), **bad}
        programme.server.post(SHOWS, json=sent).expect(422, json=INVALID)
    for name in ("title", "starts_at", "price_cents"):
        sent = {k: v for k, v in programme.fields(note=True).items() if k != name}
        programme.server.post(SHOWS, json=sent).expect(422, json=INVALID)


def keeps_what_is_unusual(programme: Programme) -> list[int]:
    """Create shows with values that are valid, though they do not look like it; return the ids."""
    random = programme.random
    # An accent as a separate character: normalizing the text would merge it with its letter.
    titles = (" ", random.text(3) * 100, f"{random.word()}e\u0301")
    unusual: list[Show] = [{"title": title} for title in titles]
    ids: list[int] = []
    for values in (*unusual, {"price_cents": 2**31 + random.integer(1, 9999)}):
        sent = {**programme.fields(), **values}
        show = created(programme.server.post(SHOWS, json=sent), sent)
        programme.expect_show(show)
        ids.append(show["id"])
    sent = programme.fields()
    reply = programme.server.post(SHOWS, json={"id": random.word(), **sent})
    return [*ids, created(reply, sent)["id"]]


def takes_any_form_of_json(programme: Programme) -> list[int]:
    """Create shows under other forms of the same Content-Type; return the ids."""
    ids: list[int] = []
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        sent = programme.fields()
        reply = programme.server.post(SHOWS, json=sent, headers={"Content-Type": kind})
        ids.append(created(reply, sent)["id"])
    return ids


def bad_values() -> Iterator[Show]:
    """Return fields of a show with a value that none may have."""
    yield from ({"title": value} for value in NO_TITLES)
    yield from ({"starts_at": value} for value in NO_TIMES)
    yield from ({"price_cents": value} for value in NO_PRICES)
    yield from ({"note": value} for value in NO_NOTES)


def deletes(programme: Programme, seen: list[int]) -> None:
    """Delete the newest show: it is gone, and its id is not given again."""
    last, server = max(seen), programme.server
    reply = server.request("DELETE", path_of(last)).expect(204)
    if reply.body or reply.surplus:
        reply.fail("204 without a body")
    for method in ("GET", "DELETE"):
        server.request(method, path_of(last)).expect(404, json=NO_SUCH)
    again = programme.create()["id"]
    if again in seen:
        fail("an id that no show has had", f"{again}, the id of {path_of(last)}, which is deleted")
    for pattern in NO_IDS:
        server.get(path_of(pattern.format(again))).expect(404, json=NO_SUCH)
    server.request("DELETE", path_of(f"{again}abc")).expect(404, json=NO_SUCH)
    server.get(path_of(again)).expect(200, json={"id": again})


@points(
    2,
    hints=(
        "Which version of the show does this client know, and how could your server tell?",
        (
            "Compute the ETag from all fields of the show (a hash, or a counter in the show);"
            " for PUT and PATCH split If-Match at its commas, answer 428 if it is absent, 412 if"
            " the current ETag isn't in it, and let no other request in between this comparison"
            " and storing the change."
        ),
    ),
    link="Name the version you saw",
)
def check_prevents_lost_updates(programme: Programme) -> None:
    """A write must name the current ETag, and a read that names it gets 304 without a body"""
    show = programme.create(programme.fields(note=True))
    with advising(
        "Set the field ETag yourself, with its quotes: one that a framework makes is often weak,"
        ' W/"…", and you need to know it when somebody writes.'
    ):
        tag_of(programme.expect_show(show))
    with advising(
        "If-None-Match is a list of ETags with commas between, and W/ in front of one doesn't"
        " matter: if the current one is in it, answer 304 with the ETag and without a body."
    ):
        spares_the_body(programme, show["id"])
    with advising(
        "The ETag belongs to the content of one show: compute it from all its fields, the note"
        " too, and from nothing else. The reply to a change has the tag of the changed show."
    ):
        changes_with_the_content_only(programme, show["id"])
    needs_the_current_tag(programme, show["id"])
    with advising(
        "Nothing may happen between the comparison of the ETag and the storing: no await, and in"
        " a program with threads a lock around both."
    ):
        lets_one_of_many_win(programme)
        lets_one_of_two_slow_ones_win(programme)


def spares_the_body(programme: Programme, show_id: int) -> None:
    """Ask for a show with the tags that a client may have."""
    reply = programme.server.get(path_of(show_id)).expect(200)
    show, tag = reply.json(), tag_of(reply)
    other = f'"{programme.random.hex(16)}"'
    for known in (tag, f"W/{tag}", f"{other}, {tag}", f"{other},W/{tag} , {other}"):
        reply = conditional(programme, show_id, known).expect(304, headers={"ETag": tag})
        if reply.body or reply.surplus:
            reply.fail("304 without a body")
    longer, shorter = f'{tag[:-1]}x"', f'"{tag[2:]}' if len(tag) > 3 else other
    for unknown in (other, longer, shorter, f"{other}, W/{longer}"):
        conditional(programme, show_id, unknown).expect(200, json=show, headers={"ETag": tag})


def conditional(programme: Programme, show_id: int, tags: str) -> Reply:
    """Ask for a show unless it has one of these tags."""
    return programme.server.get(path_of(show_id), headers={"If-None-Match": tags})


def changes_with_the_content_only(programme: Programme, show_id: int) -> None:
    """Change each field in turn, and in between what is not this show."""
    other = programme.create()
    _, tag = programme.tagged(show_id)
    seen = [tag]
    new = programme.fields(note=True)
    # Whole shows, so that each kind of writing does the same with them.
    writes: Iterator[Callable[[int, Show, str], Reply]]
    writes = itertools.cycle((programme.patch, programme.put))
    for patch in (*({name: value} for name, value in new.items()), {"note": None}):
        touch_something_else(programme, show_id, other["id"])
        unchanged = programme.server.get(path_of(show_id)).expect(200)
        show, again = unchanged.json(), unchanged.headers.get("ETag", "")
        if again != seen[-1]:
            unchanged.fail(f"ETag: {seen[-1]}, as this show has not changed", f"ETag: {again}")
        whole = {k: v for k, v in {**show, **patch}.items() if v is not None}
        write = programme.put if "note" not in whole else next(writes)
        reply = write(show_id, whole, again).expect(200, json=whole)
        if "note" not in whole and "note" in reply.json():
            # An answer that keeps the note learns that from another check.
            return
        if (told := tag_of(reply)) in seen:
            reply.fail(f"another ETag, as {next(iter(patch))} has changed", f"ETag: {told}")
        _, found = programme.tagged(show_id)
        if found != told:
            reply.fail(f"ETag: {found}, as the next GET says", f"ETag: {told}")
        seen.append(told)


def touch_something_else(programme: Programme, show_id: int, other_id: int) -> None:
    """Sell a seat, and create and change other shows; other checks look at how."""
    random = programme.random
    programme.book(show_id, f"C{random.integer(1, 9)}", random.word())
    programme.create()
    programme.edit(other_id, {"title": random.word()})


def needs_the_current_tag(programme: Programme, show_id: int) -> None:
    """Write with no tag, an old one, one of another show, a weak one, and lists of tags."""
    show, old = programme.tagged(show_id)
    other = programme.create()
    new = programme.fields(note=True)
    unnamed, stale = {"error": "precondition_required"}, {"error": "stale"}
    programme.put(show_id, new, None).expect(428, json=unnamed)
    programme.patch(show_id, {"title": new["title"]}, None).expect(428, json=unnamed)
    programme.expect_show(show)
    unknown = f'"{programme.random.hex(16)}"'
    first = programme.put(show_id, new, old).expect(200, json=new)
    current = tag_of(first)
    weak = f"W/{current}"
    for tags in (old, weak, f"{unknown}, {weak}", f"{old}, {unknown}", f'{current[:-1]}x"'):
        programme.put(show_id, programme.fields(), tags).expect(412, json=stale)
        patch = {"title": programme.random.word()}
        programme.patch(show_id, patch, tags).expect(412, json=stale)
    programme.expect_show({**new, "id": show_id})
    again = programme.fields()
    current = tag_of(programme.put(show_id, again, f"{unknown}, {current}").expect(200, json=again))
    again = programme.fields(note=True)
    programme.patch(show_id, again, f"{current},{old}").expect(200, json=again)
    programme.expect_show(other)


def lets_one_of_many_win(programme: Programme) -> None:
    """Have several editors write at once, all with the same tag."""
    for write in (programme.put, programme.patch):
        show = programme.create()
        _, tag = programme.tagged(show["id"])
        sent = [programme.fields() for _ in range(EDITORS)]
        orders = [(write, show["id"], new, tag) for new in sent]
        with at_once(lambda order: order[0](*order[1:]), orders) as crowd:
            replies = crowd.results()
        statuses = Counter(reply.status for reply in replies)
        if statuses != {OK: 1, 412: EDITORS - 1}:
            saw = ", ".join(f"{n} times {status}" for status, n in sorted(statuses.items()))
            fail(f"1 times 200, {EDITORS - 1} times 412, to one ETag", saw,
                 command=replies[0].command)  # fmt: skip
        won = next(new for new, reply in zip(sent, replies, strict=True) if reply.status == OK)
        programme.expect_show({**won, "id": show["id"]})


def lets_one_of_two_slow_ones_win(programme: Programme) -> None:
    """Send the heads of two changes, and their bodies when both heads are there."""
    for method, kind in (("PUT", "application/json"), ("PATCH", MERGE_PATCH)):
        show = programme.create()
        _, tag = programme.tagged(show["id"])
        bodies = [json.dumps(programme.fields(), ensure_ascii=False).encode() for _ in range(2)]
        # The same host as in all other requests: a framework may refuse any other.
        host = f"localhost:{programme.server.port}"
        head = f"{method} {path_of(show['id'])} HTTP/1.1\r\nHost: {host}\r\nIf-Match: {tag}\r\n"
        head += f"Content-Type: {kind}\r\nConnection: close\r\nContent-Length: "
        with programme.server.connect() as one, programme.server.connect() as two:
            lines = list(zip((one, two), bodies, strict=True))
            for line, body in lines:
                line.send(f"{head}{len(body)}\r\n\r\n".encode())
            for line, _ in lines:
                line.expect_silence(0.05, until="the body has arrived")
            for line, body in lines:
                line.send(body)
            replies = [line.reply(to=method) for line, _ in lines]
        if sorted(reply.status for reply in replies) != [OK, 412]:
            saw = " and ".join(str(reply.status) for reply in replies)
            what = f"200 and 412, to two {method} with one ETag whose bodies come late"
            fail(what, saw, command=CHECK_AGAIN)


@points(
    2,
    hints=(
        (
            "Look at the show before the patch, at the patch, and at the show afterwards: which"
            " field is wrong?"
        ),
        (
            "Copy the show. For each field of the patch, delete it from the copy if it is null,"
            " otherwise set it. Check the whole copy as you check a new show (422), and only"
            " then store it, under the id it had."
        ),
    ),
    link="Change a part: merge patches",
)
def check_patches_by_merging(programme: Programme) -> None:
    """PATCH merges: null removes, absent stays, the result is still valid; PUT replaces it all"""
    show = programme.create(programme.fields(note=True))
    new = programme.fields(note=True)
    for name, value in programme.random.shuffled(list(new.items())):
        show = patched(programme, show, {name: value})
    show = patched(programme, show, {})
    show = patched(programme, show, {"note": None, "title": new["title"] * 2})
    show = patched(programme, show, {"note": new["note"]}, f"{MERGE_PATCH}; charset=utf-8")
    show = patched(programme, show, {"note": None})
    show = patched(programme, show, {"note": None})
    show = patched(programme, show, {"note": ""}, MERGE_PATCH.title())
    show = patched(programme, show, {"price_cents": 4710})
    show = patched(programme, show, {"note": None})
    show = patched(programme, show, {"id": show["id"] + 1000, "price_cents": 4711}, ignored="id")
    with advising(
        "Look at Content-Type before anything else: if it isn't application/merge-patch+json,"
        " answer 415 and say in Accept-Patch what you take."
    ):
        takes_merge_patches_only(programme, show)
    with advising(
        "Validate the merged copy as you validate a new show, and store it only if it is valid:"
        " until then the stored show must not be touched."
    ):
        stays_valid(programme, show)
    with advising("PUT stores what was sent and nothing of what was there, except the id."):
        replaces_it_all(programme, show)
    with advising(
        "An empty note is a note: ask whether the field is there, not whether it's true."
    ):
        keeps_empty_notes(programme)
    with advising(
        "PUT and PATCH find a show as GET does: one that never existed, or was deleted, is a 404."
    ):
        changes_only_what_is_there(programme, show)


def patched(
    programme: Programme, show: Show, patch: Show, kind: str = MERGE_PATCH, ignored: str = ""
) -> Show:
    """Send a patch, compare, and return the show as it must be now."""
    _, tag = programme.tagged(show["id"])
    wanted = show | {name: value for name, value in patch.items() if name != ignored}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    reply = programme.patch(show["id"], patch, tag, kind).expect(200, json=wanted)
    expect_no_note_but(reply, wanted)
    expect_no_note_but(programme.expect_show(wanted), wanted)
    return wanted


def takes_merge_patches_only(programme: Programme, show: Show) -> None:
    """Send a patch under other types."""
    _, tag = programme.tagged(show["id"])
    for kind in NO_MERGE_PATCHES:
        reply = programme.patch(show["id"], {"title": programme.random.word()}, tag, kind)
        reply.expect(415, json={"error": "merge_patch_only"}, headers={"Accept-Patch": None})
        told = [kind.strip().lower() for kind in reply.headers["Accept-Patch"].split(",")]
        if MERGE_PATCH not in told:
            reply.fail(f"Accept-Patch: {MERGE_PATCH}", f"Accept-Patch: {', '.join(told)}")
    programme.expect_show(show)


def stays_valid(programme: Programme, show: Show) -> None:
    """Send patches whose result is no valid show; a right field beside the bad one is no help."""
    _, tag = programme.tagged(show["id"])
    good = programme.fields(note=True)
    for bad in bad_values():
        name = next(iter(bad))
        right = next(field for field in ("title", "price_cents") if field != name)
        for patch in (bad, {right: good[right], **bad}):
            programme.patch(show["id"], patch, tag).expect(422, json=INVALID)
    programme.expect_show(show)
    programme.server.get(path_of(show["id"])).expect(200, headers={"ETag": tag})


def replaces_it_all(programme: Programme, show: Show) -> None:
    """Replace a show with a note by one without, and by ones that are not whole."""
    _, tag = programme.tagged(show["id"])
    whole = programme.fields(note=True)
    programme.put(show["id"], whole, tag).expect(200, json=whole)
    programme.expect_show({**whole, "id": show["id"]})
    _, tag = programme.tagged(show["id"])
    for name in ("title", "starts_at", "price_cents"):
        rest = {k: v for k, v in whole.items() if k != name}
        programme.put(show["id"], rest, tag).expect(422, json=INVALID)
    for bad in bad_values():
        programme.put(show["id"], {**whole, **bad}, tag).expect(422, json=INVALID)
    programme.expect_show({**whole, "id": show["id"]})
    bare = programme.fields()
    sent = {"id": show["id"] + 1000, **bare}
    wanted = {**bare, "id": show["id"]}
    expect_no_note_but(programme.put(show["id"], sent, tag).expect(200, json=wanted), wanted)
    expect_no_note_but(programme.expect_show(wanted), wanted)


def keeps_empty_notes(programme: Programme) -> None:
    """Create a show with an empty note, and replace it by another one."""
    sent, new = ({**programme.fields(), "note": ""} for _ in range(2))
    show = created(programme.server.post(SHOWS, json=sent), sent)
    programme.expect_show(show)
    _, tag = programme.tagged(show["id"])
    programme.put(show["id"], new, tag).expect(200, json=new)
    programme.expect_show({**new, "id": show["id"]})


def changes_only_what_is_there(programme: Programme, show: Show) -> None:
    """Write to a show that never existed, and with its last ETag to one that was deleted."""
    for write in (programme.put, programme.patch):
        absent = show["id"] + programme.random.integer(10_000, 99_999)
        write(absent, programme.fields(), f'"{programme.random.hex(16)}"').expect(404, json=NO_SUCH)
        gone, tag = programme.tagged(programme.create()["id"])
        programme.server.request("DELETE", path_of(gone["id"]))
        # An answer that cannot delete yet learns that from another check.
        if programme.server.get(path_of(gone["id"])).status == 404:
            write(gone["id"], programme.fields(), tag).expect(404, json=NO_SUCH)


@points(
    2,
    hints=(
        (
            "Write down the order of the shows and the place of your cursor in it, then look at"
            " what was created or deleted before the next page."
        ),
        (
            "Sort by starts_at, then by id as a number. Let the cursor hold both values of the last"
            " show of the page, and take the shows that come after that place, whether or not the"
            " show is still there. Take one more than limit to see whether a page follows."
        ),
    ),
    link="Pages that move under you",
)
def check_pages_without_gaps(season: Programme) -> None:
    """Page after page, each show comes exactly once, while others are created and deleted"""
    season.server.get(SHOWS).expect(200, json={"items": [], "next": None})
    shows = fill(season)
    with advising(
        "Sort by starts_at, then by id as a number; next is null and Link absent exactly when no"
        " show follows; Link repeats limit and has the cursor percent-encoded."
    ):
        for limit in (season.random.integer(3, 6), len(shows) // 4, len(shows), 50):
            expect_pages(season, shows, limit)
        first = season.server.get(SHOWS).expect(200, json={"items": shows[:20]})
        season.server.get(next_link(first)).expect(200, json={"items": shows[20:], "next": None})
    with advising(
        "Test the whole text: limit is ^[0-9]+$ and from 1 to 50, and what can't be read as a"
        " cursor is a 400, never the first page."
    ):
        refuses_bad_queries(season)
    pages_while_it_changes(season, shows)
    lists_what_is_there(season)


def fill(season: Programme) -> list[Show]:
    """Create shows, many of them at the same times; return them in their order."""
    base = datetime(2027, 6, 1, tzinfo=UTC) + timedelta(days=season.random.integer(1, 300))
    # 36 shows: 13 at one time and 11 at another, and some before, between and after.
    hours = [1, 2, 3, *[4] * 13, 5, 6, 7, 8, *[9] * 11, 10, 11, 12, 13, 14]
    times = [f"{base + timedelta(hours=hour):%FT%TZ}" for hour in hours]
    made = [season.create(season.fields(starts_at=t)) for t in season.random.shuffled(times)]
    season.server.post(SHOWS, json={**season.fields(), "price_cents": -1}).expect(422)
    return sorted(made, key=in_order)


def in_order(show: Show) -> tuple[str, int]:
    """Return what shows are sorted by."""
    return show["starts_at"], show["id"]


def expect_pages(season: Programme, shows: list[Show], limit: int) -> None:
    """Go through all pages by `next`, compare each, and look at where its Link leads.

    Two replies with the same page may have different cursors: the server chooses what's in them.
    """
    query = f"?limit={limit}"
    for start in range(0, len(shows), limit):
        page = season.server.get(f"{SHOWS}{query}")
        page.expect(200, json={"items": shows[start : start + limit]})
        with advising("A show without a note doesn't have the field note, in the list either."):
            expect_no_notes(page)
        cursor = cursor_of(page, last=start + limit >= len(shows))
        if cursor is None:
            return
        query = f"?limit={limit}&after={cursor}"
        by_link = season.server.get(next_link(page))
        by_link.expect(200, json={"items": shows[start + limit : start + 2 * limit]})
        cursor_of(by_link, last=start + 2 * limit >= len(shows))


def expect_no_notes(page: Reply) -> None:
    """Check that shows without a note have no such field in the list."""
    if any("note" in item for item in items_of(page)):
        page.fail("items without the field note, as these shows have none")


def cursor_of(page: Reply, *, last: bool | None = None) -> str | None:
    """Return the cursor of the next page, percent-encoded, and compare it with Link."""
    value = page.json()
    cursor = value.get("next", "") if isinstance(value, dict) else ""
    if cursor == "" or not isinstance(cursor, str | None):
        page.fail('"next": text, or null if no show follows')
    if last is not None and last != (cursor is None):
        wanted = "null, as no show follows" if last else "text, as more shows follow"
        page.fail(f'"next": {wanted}', f'"next": {cursor!r}'[:120] if cursor else '"next": null')
    if cursor is None:
        if find_next_link(page) is not None:
            page.fail("no Link with rel=next, as no show follows", f"Link: {page.headers['Link']}")
        return None
    next_link(page)
    return quote(cursor, safe="")


def find_next_link(page: Reply) -> str | None:
    """Return the path and query that a reply calls its next page."""
    for target, rest in LINK.findall(page.headers.get("Link", "")):
        if NEXT.search(rest):
            url = urlsplit(urljoin(SHOWS, target))
            return f"{url.path}?{url.query}"
    return None


def next_link(page: Reply) -> str:
    """Return the path and query of the next page.

    Raises:
        Failure: there is no such link.
    """
    found = find_next_link(page)
    if found is None:
        page.fail('Link: <…>; rel="next"', f"Link: {page.headers.get('Link', '(absent)')}")
    return found


def refuses_bad_queries(season: Programme) -> None:
    """Ask with a limit or a cursor that cannot be."""
    number, word = season.random.integer(2, 9), season.random.word()
    queries = [f"limit={pattern.format(number)}" for pattern in NO_LIMITS]
    for query in (
        *queries,
        "after=tomorrow",
        f"after={word}",
        f"limit={number}&after={word}%20{number}",
    ):
        season.server.get(f"{SHOWS}?{query}").expect(400, json={"error": "bad_query"})


def pages_while_it_changes(season: Programme, shows: list[Show]) -> None:
    """Go through all pages, and between two of them delete, create and move shows."""
    limit = season.random.integer(2, 3)
    seen: list[Show] = []
    unchanged = list(shows)
    query, earlier = f"?limit={limit}", ""
    for number in range(LIMIT_PAGES):
        page = season.server.get(f"{SHOWS}{query}")
        page.expect(200)
        items = items_of(page)
        cursor = cursor_of(page)
        seen += items
        if cursor is None:
            break
        earlier, query = query, f"?limit={limit}&after={cursor}"
        if items and change_around(season, items[-1], number):
            unchanged = [show for show in unchanged if show["id"] != items[-1]["id"]]
    else:
        page.fail(f"an end of the pages of {len(shows)} shows", f"more than {LIMIT_PAGES} pages")
    counts = Counter(show.get("id") for show in seen)
    for show in unchanged:
        if counts[show["id"]] != 1:
            fail(
                f"show {show['id']}, which was there all the time, on one page",
                f"it was on {counts[show['id']] or 'none'}, "
                "while other shows were created, moved and deleted",
                command=page.command,
            )
    # What was given out keeps working, the page before the last one too.
    season.server.get(f"{SHOWS}{earlier}").expect(200)


def lists_what_is_there(season: Programme) -> None:
    """Create, change and delete the first show of all, and look at the list after each."""
    show_id = season.create(season.fields(starts_at="2020-02-29T19:30:00Z"))["id"]
    for _ in range(2):
        there = season.server.get(path_of(show_id)).expect(200).json()
        season.server.get(f"{SHOWS}?limit=1").expect(200, json={"items": [there]})
        season.edit(show_id, {"title": season.random.word()})
    season.server.request("DELETE", path_of(show_id))
    page = season.server.get(f"{SHOWS}?limit=1").expect(200)
    if show_id in [show.get("id") for show in items_of(page)]:
        page.fail(f"a list without show {show_id}, which was deleted")


def items_of(page: Reply) -> list[Show]:
    """Return the shows of a page."""
    value = page.json()
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        page.fail('"items": a list of shows')
    return items


def change_around(season: Programme, last: Show, number: int) -> bool:
    """Change what a careless cursor counts on: shows before it, and in two of three its own."""
    for hour in range(2):
        season.create(season.fields(starts_at=f"2026-0{number % 9 + 1}-01T0{hour}:00:00Z"))
    if number % 3 == 0:
        season.server.request("DELETE", path_of(last["id"]))
    elif number % 3 == 1:
        season.edit(last["id"], {"starts_at": "2099-12-31T19:30:00Z"})
    return number % 3 < 2


@points(
    2,
    hints=(
        (
            "What does your server look at first: whether the seat is free, or whether it knows the"
            " key?"
        ),
        (
            "Keep, under each key, the request (show, seat, user) and its reply. Look there first:"
            " another request is a 422, the same one gets the stored reply. Only a key you don't"
            " know buys a seat, and is stored together with the booking."
        ),
    ),
    link="A click that arrives twice",
)
def check_repeats_safely(programme: Programme) -> None:
    """A booking sent again with its key is one booking with one reply; no key fits two requests"""
    random = programme.random
    show, other = programme.create(), programme.create()
    seats = random.shuffled([f"{row}{n}" for row in "ABCDEF" for n in range(1, 11)])
    user, key = f"{random.word()} {random.text(3)}", new_key(random)
    first = booked(programme.book(show["id"], seats[0], user, key), show, seats[0], user)
    expect_same(programme.book(show["id"], seats[0], user, key), first)
    with advising(
        "A key belongs to one request: remember the show, the seat and the user with it, and"
        " compare all three before you answer."
    ):
        keeps_keys_apart(programme, (show, other), (seats[0], seats[1]), user, key)
    sells_seats(programme, (show, other), seats[2:], first)
    refuses_bookings(programme, show)
    with advising("A user is any text that isn't empty: no trim, no pattern."):
        booked(programme.book(other["id"], seats[4], " "), other, seats[4], " ")
    for _ in range(3):
        buys_at_once(programme, seats)
    with advising(
        "Compare whole keys, letter by letter, and keep them in a map: an object of JavaScript"
        " already knows some names, such as constructor."
    ):
        takes_any_key(programme, seats)
    with advising(
        "Store the reply itself under the key. One that is put together again is another one as"
        " soon as the show has changed."
    ):
        remembers_the_reply(programme, (show, other), (seats[0], seats[-1]), user, key, first)


def new_key(random: Random) -> str:
    """Return a key of letters, digits and hyphens."""
    return f"{random.word().title()}-{random.hex(57)}"


def booked(reply: Reply, show: Show, seat: str, user: str) -> Show:
    """Compare a booking, and return it."""
    reply.expect(201, json={"show_id": show["id"], "seat": seat, "user": user,
                            "status": "confirmed", "price_cents": show["price_cents"]})  # fmt: skip
    booking: Show = reply.json()
    if not isinstance(booking.get("id"), str) or not booking["id"]:
        reply.fail("an id that is a string")
    return booking


def expect_same(reply: Reply, first: Show) -> None:
    """Compare the reply to a repeated request with the first one."""
    reply.expect(201, exactly=first)


def keeps_keys_apart(
    programme: Programme, shows: tuple[Show, Show], seats: tuple[str, str], user: str, key: str
) -> None:
    """Send a known key with another seat, another user and another show; nothing is sold."""
    (show, other), (seat, free) = shows, seats
    reused = {"error": "key_reused"}
    programme.book(show["id"], free, user, key).expect(422, json=reused)
    reply = programme.book(show["id"], seat, programme.random.word(), key)
    # This seat is sold as well: where two errors apply, either is right.
    status, error = (409, TAKEN) if reply.status == 409 else (422, reused)
    reply.expect(status, json=error)
    programme.book(other["id"], seat, user, key).expect(422, json=reused)
    for at, place in ((show, free), (other, seat)):
        late = programme.random.word()
        booked(programme.book(at["id"], place, late, new_key(programme.random)), at, place, late)


def sells_seats(
    programme: Programme, shows: tuple[Show, Show], seats: list[str], first: Show
) -> None:
    """Buy without a key, and with other keys: each of these is a separate purchase."""
    (show, other), random = shows, programme.random
    user, seat = first["user"], first["seat"]
    programme.book(show["id"], seat, user, new_key(random)).expect(409, json=TAKEN)
    programme.book(show["id"], seat, user).expect(409, json=TAKEN)
    ids = [first["id"]]
    for at, place in ((show, seats[0]), (show, seats[1]), (other, seats[0])):
        ids.append(booked(programme.book(at["id"], place, user), at, place, user)["id"])
        programme.book(at["id"], place, user).expect(409, json=TAKEN)
    for place in ("A10", "F10"):
        fresh = programme.create()
        ids.append(booked(programme.book(fresh["id"], place, user), fresh, place, user)["id"])
    if len(set(ids)) < len(ids):
        fail("another id for each booking", f"the ids {ids}")


def refuses_bookings(programme: Programme, show: Show) -> None:
    """Send bookings with a bad value, and some for shows that don't exist."""
    fresh = programme.create()
    with advising(
        "Test the type of both values, and the whole text of the seat against"
        " ^[A-F]([1-9]|10)$: no line break may follow, as Python's $ would allow."
    ):
        refuses_bad_values(programme, show, fresh)
    booked(programme.book(fresh["id"], "B2", "ada"), fresh, "B2", "ada")
    with advising("A booking finds its show as GET does, and answers 404 if there is none."):
        absent = show["id"] + programme.random.integer(10_000, 99_999)
        programme.book(absent, "B2", "ada", new_key(programme.random)).expect(404, json=NO_SUCH)
        # An answer that finds such an id everywhere learns that from another check.
        if programme.server.get(path_of(f"{fresh['id']}abc")).status == 404:
            programme.book(f"{fresh['id']}abc", "B3", "ada").expect(404, json=NO_SUCH)


def refuses_bad_values(programme: Programme, show: Show, fresh: Show) -> None:
    """Send seats and users that can't be."""
    invalid = {"error": "invalid_booking"}
    path = f"{path_of(show['id'])}/bookings"
    for seat in NO_SEATS:
        sent = {"seat": seat, "user": "ada"}
        programme.server.post(path, json=sent).expect(422, json=invalid)
    path = f"{path_of(fresh['id'])}/bookings"
    bad: list[Show] = [{"seat": "B2", "user": user} for user in NO_USERS]
    for sent in (*bad, {"seat": "B2"}, {"user": "ada"}, {}):
        programme.server.post(path, json=sent).expect(422, json=invalid)


def buys_at_once(programme: Programme, seats: list[str]) -> None:
    """Send one request ten times at once, then ten that want one seat."""
    random = programme.random
    fresh = programme.create()
    user, key = random.word(), new_key(random)
    with at_once(
        lambda _: programme.book(fresh["id"], seats[0], user, key), range(REPEATS)
    ) as all_:
        replies = all_.results()
    first = booked(replies[0], fresh, seats[0], user)
    for reply in replies:
        expect_same(reply, first)
    keys = [new_key(random) for _ in range(REPEATS)]
    with at_once(lambda key: programme.book(fresh["id"], seats[1], user, key), keys) as all_:
        counts = Counter(reply.status for reply in all_.results())
    if counts != {CREATED: 1, 409: REPEATS - 1}:
        saw = ", ".join(f"{n} times {status}" for status, n in sorted(counts.items()))
        fail(f"1 times 201, {REPEATS - 1} times 409, to ten keys and one seat", saw)


def takes_any_key(programme: Programme, seats: list[str]) -> None:
    """Buy with keys that are short, that hardly differ, or that a language already knows."""
    random, fresh = programme.random, programme.create()
    user, long = random.word(), new_key(random)
    keys = (long, long.swapcase(), long[:-1] + "x", random.word()[0], "constructor", "7")
    bought = [
        booked(programme.book(fresh["id"], seat, user, key), fresh, seat, user)
        for seat, key in zip(seats, keys, strict=False)
    ]
    for first, key in zip(bought, keys, strict=True):
        expect_same(programme.book(fresh["id"], first["seat"], user, key), first)


def remembers_the_reply(
    programme: Programme, shows: tuple[Show, Show], seats: tuple[str, str], user: str, key: str,
    first: Show,
) -> None:  # fmt: skip
    """Change the price, then repeat a booking; a new one costs the new price."""
    (show, _), (seat, free) = shows, seats
    price = show["price_cents"] + programme.random.integer(11, 999)
    programme.edit(show["id"], {"price_cents": price})
    now = programme.server.get(path_of(show["id"])).expect(200).json()
    expect_same(programme.book(show["id"], seat, user, key), first)
    # An answer that cannot change prices yet learns that from another check.
    booked(programme.book(show["id"], free, user), now, free, user)


@points(
    1,
    hints=(
        "Send that Accept field with curl: which format comes, and which has the higher quality?",
        (
            "For each format find the most specific range that covers it (text/csv before text/*"
            " before */*) and take its q, 1 if it has none; the higher one wins, JSON where they"
            " are equal, 406 where both are 0. In CSV, quote a field with a comma, a quote or a"
            " line break, and double the quotes in it."
        ),
    ),
    link="One resource, two formats",
)
def check_negotiates(brochure: Programme) -> None:
    """GET /api/shows is JSON or CSV, as Accept says, and 406 if it allows neither"""
    shows = [brochure.create(show) for show in odd_shows(brochure)]
    for accept in welcome("application/json", "text/csv"):
        reply = listed(brochure, accept).expect(200, json={"items": shows})
        expect_vary(reply)
    for accept in welcome("text/csv", "application/json"):
        reply = listed(brochure, accept).expect(200, type="text/csv")
        expect_csv(reply, shows)
        expect_vary(reply)
    with advising("CSV has the same page and Link as JSON: set Link before you choose the format."):
        turns_a_page_in_csv(brochure, shows)
    for accept in NEITHER:
        listed(brochure, accept).expect(406, json={"error": "not_acceptable"})


NEITHER = (
    "text/html", "image/*", "application/xml, text/html;q=0.9", "text/csvx, application/jsonp",
    "application/merge-patch+json", "text/csv;q=0", "application/json;q=0, text/csv; q=0.0, */*",
    "*/*;q=0", "text/html, application/json-seq, text/csv-schema",
)  # fmt: skip


def welcome(one: str, other: str) -> list[str | None]:
    """Return values of Accept that prefer one format to the other; None means no such field."""
    kind, far = one.partition("/")[0], other.partition("/")[0]
    common = [
        one, f"{kind}/*", f"text/html, {one}", f"{one};q=0.5",
        f"{other};q=0.3, {one};q=0.7", f"{one};q=0.7, {other};q=0.3", f"{one},{other};q=0.9",
        f"{other}; q=0.899, {one}; q=0.9", f"{other};q=0, */*", f"*/*, {other};q=0.2",
        f"{other};q=0.2,{kind}/*;q=0.5", f"{far}/*;q=0.4, {one};q=0.6, text/html",
        f"image/png, */*;q=0.5, {other};q=0.1", f"{one};q=0.001", one.title(),
        f"{other.upper()};q=0.2, */*", f"{far}/*;q=0.1, */*;q=0.5",
        f"{far}/*, {other};q=0.1, {one};q=0.5",
    ]  # fmt: skip
    if one == "text/csv":
        return list(common)
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    return [*common, None, "*/*", "*/*;q=0.1", browser]


def listed(brochure: Programme, accept: str | None, path: str = f"{SHOWS}?limit=40") -> Reply:
    """Ask for the list in a format."""
    return brochure.server.get(path, headers={} if accept is None else {"Accept": accept})


def odd_shows(brochure: Programme) -> list[Show]:
    """Return shows whose titles need care in CSV."""
    word, text = brochure.random.words(9), brochure.random.text(4)
    titles = [
        f"{word[0]}, {word[1]}", f'{word[2]} "{text}" {word[3]}', f'"{word[4]}"', '"', ",",
        f"{word[5]}\n{word[6]}", f"{word[5]}\r\n{word[6]}, {text}", f" {word[7]} ",
        f"{word[7]};{text}", f"={word[0]}+1", f"{word[1]}'s", text,
        f'{word[2]},"{word[3]}",{word[4]}', f"{word[6]}\\n\t|", f"{word[8]}\r{word[0]}",
    ]  # fmt: skip
    # In the order of their creation: another check looks at whether the list is sorted.
    return [
        {**brochure.fields(note=n % 2 == 0, starts_at=f"2027-05-{n + 1:02}T19:30:00Z"), "title": t}
        for n, t in enumerate(titles)
    ]


@advising("Set Vary: Accept on the list in both formats, so that no cache mixes them up.")
def expect_vary(reply: Reply) -> None:
    """Check that caches are told that Accept has chosen."""
    told = [name.strip().lower() for name in reply.headers.get("Vary", "").split(",")]
    if "accept" not in told and "*" not in told:
        reply.fail("Vary: Accept", f"Vary: {reply.headers.get('Vary', '(absent)')}")


@advising(
    "RFC 4180: a field with a comma, a quote or a line break is quoted, quotes inside it are"
    " doubled, each line ends in CRLF, and the text is UTF-8 without a byte order mark."
)
def expect_csv(reply: Reply, shows: list[Show]) -> None:
    """Compare a reply in CSV, field by field."""
    wanted, seen = rows_for(shows), rows_in(reply)
    for number, (line, found) in enumerate(zip(wanted, seen, strict=False)):
        if line != found:
            reply.fail(f"line {number + 1} of the CSV: {line}", f"{found}"[:300])
    if len(seen) != len(wanted):
        reply.fail(f"{len(wanted)} lines of CSV", f"{len(seen)}: {seen[-1:]}"[:300])
    outside = re.sub(r'"(?:[^"]|"")*"', "", reply.text)
    if re.search(r"\r(?!\n)|(?<!\r)\n", outside):
        reply.fail("lines that end in CRLF")


def rows_for(shows: list[Show]) -> list[list[str]]:
    """Return the lines of CSV that shows must come to."""
    columns = ["id", "title", "starts_at", "price_cents"]
    return [columns, *([str(show[name]) for name in columns] for show in shows)]


def rows_in(reply: Reply) -> list[list[str]]:
    """Return the lines of CSV in a reply."""
    try:
        text = reply.body.decode()
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError:
        reply.fail("CSV in UTF-8")
    except csv.Error as error:
        reply.fail("CSV as RFC 4180 has it", f"{error}: {text[:160]!r}")


def turns_a_page_in_csv(brochure: Programme, shows: list[Show]) -> None:
    """Ask for a part of the list in CSV, and follow its link."""
    limit = brochure.random.integer(3, 5)
    path = f"{SHOWS}?limit={limit}"
    # Another check looks at what a link must be like; here CSV must have what JSON has.
    link = find_next_link(brochure.server.get(path).expect(200))
    there = [] if link is None else items_of(brochure.server.get(link).expect(200))
    reply = listed(brochure, "text/csv", path).expect(200, type="text/csv")
    expect_csv(reply, shows[:limit])
    if link is None:
        return
    following = listed(brochure, "text/csv", next_link(reply)).expect(200, type="text/csv")
    expect_csv(following, there)
    whole = listed(brochure, "text/csv").expect(200)
    if find_next_link(whole) is not None:
        whole.fail("no Link with rel=next, as no show follows", f"Link: {whole.headers['Link']}")
