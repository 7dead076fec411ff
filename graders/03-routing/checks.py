from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from json import dumps
from typing import Any
from urllib.parse import quote

import pytest

from coursework.checks import Image, Link, Random, Reply, Server, advising, points

OK = 200
REDIRECTS = (301, 302, 307, 308)
SHOWS = 80
SERIES = 8
# Their titles are alike, so that each mistake in decoding leads to another show, or to none.
TWINS = (
    "{0}/{1}",
    "{0}%2F{1}",
    "100% {0}",
    "{0}+{1} = ?",
    "{0} {1} = ?",
    "{0}%41",
    "{0}A",
    "Ćao #{0}&{1}",
    "{0} (2.5)",
    "{0} (2x5)",
    "Gospođa {0}",
    "gospođa {0}",
)
NO_NUMBERS = (
    "0", "51", "-1", "2.5", "1e1", "0x10", "{0}abc", "", "%20{0}", "%2B{0}", "%D9%A3", "NaN",
    "Infinity", "100000000000000000000", "ten",
)  # fmt: skip
NO_TIMES = (
    "tomorrow", "", "2027", "1", "2027-03-01", "2027-03-01T19:30:00", "2027-03-01T19:30:00.000Z",
    "2027-03-01T19:30:00%2B00:00", "2027-03-01%2019:30:00Z", "2027-02-30T19:30:00Z",
    "2027-13-01T19:30:00Z", "2027-03-01T24:00:00Z", "2027-03-01T19:60:00Z", "2027-3-1T19:30:00Z",
    "%202027-03-01T19:30:00Z", "2027-03-01T19:30:00Zx", "x2027-03-01T19:30:00Z",
    "2027-03-01t19:30:00z", "2027-03-01T19:30Z", "2027-03-01T19:30:60Z", "2027-03-01T19:30:00Z%20",
    "2027-03-01T19:30:00Z%0A", "01.03.2027",
    "%2B012027-03-01T19:30:00Z", "2027-02-29T19:30:00Z", "2027-04-31T19:30:00Z",
)  # fmt: skip
NO_SEATS = (
    "a1", "A0", "A01", "A11", "A100", "G1", "A", "1", "1A", "AA1", "xA1", "A1x", "%20A1", "A1%20",
    "A1%0A", "A%D9%A3", "A-1", "A1.0", "constructor",
)  # fmt: skip
NO_IDS = (
    "{0}abc", "abc{0}", "-{0}", "%2B{0}", "{0}.0", "{0}e0", "0x{0:x}", "%20{0}", "{0}%20",
    "{0}%0A", "constructor", "__proto__", "undefined", "NaN",
)  # fmt: skip
UNKNOWN = (
    "/", "/api", "/api/{0}", "/api/{0}?limit=5", "/{0}/api/shows", "/api/shows/{1}/{0}",
    "/api/shows/{1}/seats", "/api/shows/{1}/seats/B2/{0}", "/api/shows/next/{0}", "/api/titles",
    "/api/showsx", "/constructor", "/__proto__", "/index.html", "/posters",
)  # fmt: skip
BROKEN = ("%", "100%", "%4", "%zz", "%2", "A%", "%FF", "%C4", "%E0%A4%A", "%u0041", "%%41")

Show = dict[str, Any]


@dataclass(frozen=True)
class House:
    """What a server of the answer is given.

    Args:
        shows: all shows, the earliest first.
        named: those whose titles are alike, by the pattern of the title.
        needle: a text that is in the titles of a series.
    """

    shows: list[Show]
    named: dict[str, Show]
    needle: str

    def starts(self, index: int) -> str:
        """When a show starts."""
        return str(self.shows[index]["starts_at"])

    def containing(self, text: str) -> list[Show]:
        """The shows with a text in their titles, in any case."""
        return [show for show in self.shows if text.lower() in show["title"].lower()]


@dataclass(frozen=True)
class Gallery:
    """A folder of posters, and what lies around it.

    Args:
        folder: the value of POSTERS_DIR.
        posters: their bytes by path below the folder, the deepest last.
        named: posters with telling names, by the name.
        secret: the name of a file beside the folder.
        canary: what that file holds.
        neighbour: a folder beside it, whose name begins with the name of the folder.
    """

    folder: str
    posters: dict[str, bytes]
    named: dict[str, bytes]
    secret: str
    canary: str
    neighbour: str

    def files(self, link: str) -> dict[str, str | bytes | Link]:
        """Everything that is laid into the container."""
        above = self.folder.rpartition("/")[0]
        inside = {f"{self.folder}/{n}": data for n, data in (self.posters | self.named).items()}
        outside = [f"{above}/{self.secret}", f"{self.neighbour}/{self.secret}", f"/{self.secret}"]
        return {
            **inside,
            **dict.fromkeys(outside, self.canary),
            f"{self.folder}/{link}.png": Link(f"{above}/{self.secret}"),
            f"{self.folder}/{link}-up.png": Link(f"../{self.secret}"),
            f"{self.folder}/{link}": Link(self.neighbour),
        }


@pytest.fixture(scope="session")
def house(random: Random) -> House:
    """Eighty shows: a late series, titles that are alike, and others."""
    needle = f"{random.word()} ž{random.word()}"
    forms = (needle, needle.upper(), needle.title(), f"the {needle}", f"Late {needle.upper()}")
    series = [f"{forms[n % len(forms)]} {random.word()}" for n in range(SERIES)]
    words = random.words(2)
    twins = [pattern.format(*words) for pattern in TWINS]
    others = [f"{random.word()} {random.text(3)}" for _ in range(SHOWS - SERIES - len(TWINS))]
    # The series comes late: nobody finds it among the first twenty.
    titles = [*random.shuffled([*twins, *others[:40]]), *random.shuffled([*series, *others[40:]])]
    first = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(days=random.integer(1, 300))
    ids = random.shuffled([1000 + 97 * n + random.integer(0, 96) for n in range(SHOWS)])
    shows = [
        {
            "id": ids[n],
            "title": title,
            "starts_at": f"{first + timedelta(minutes=900 * n + random.integer(1, 800)):%FT%TZ}",
            "price_cents": random.integer(1001, 9999),
        }
        for n, title in enumerate(titles)
    ]
    return House(
        shows, {p: shows[titles.index(t)] for p, t in zip(TWINS, twins, strict=True)}, needle
    )


@pytest.fixture(scope="session")
def gallery(random: Random) -> Gallery:
    """Posters at three depths, and a secret beside them."""
    above, name, deep, deeper, secret = random.words(5)
    folder = f"/srv/{above}/{name}"
    places = [random.word(), f"{deep}/{random.word()}", f"{deep}/{deeper}/{random.word()}"]
    words = random.words(2)
    telling = ("100% {0}", "{0}+{1}", "{0}%41", "{0}A", "Ćao #{0}?", "{0} {1}")
    return Gallery(
        folder,
        # Bytes that are no text in any encoding: a text file would hide what goes wrong with them.
        {
            f"{place}{ending}": b"\x89PNG\r\n\xff\x00" + random.bytes(3000)
            # A poster is whatever file is there, however its name ends.
            for place, ending in zip(places, (".png", "", ".png"), strict=True)
        },
        {f"{n.format(*words)}.png": random.word().encode() for n in telling},
        f"{secret}.txt",
        f"{random.word()}-{random.hex(24)}",
        f"{folder}-{random.word()}",
    )


@pytest.fixture(scope="session")
def link(random: Random) -> str:
    """The name of the links that lead out of the folder."""
    return random.word()


@pytest.fixture(scope="session")
def shows_file(random: Random) -> str:
    """A place for the shows that nobody can type in beforehand."""
    return f"/data/{random.word()}.json"


@pytest.fixture(scope="module")
def server(
    image: Image, house: House, gallery: Gallery, link: str, shows_file: str, random: Random
) -> Server:
    """A server with shows in no order, and a folder of posters."""
    return image.start(
        env={"SHOWS_FILE": shows_file, "POSTERS_DIR": gallery.folder},
        files={
            shows_file: dumps(random.shuffled(house.shows), ensure_ascii=False),
            **gallery.files(link),
        },
    )


@pytest.fixture(scope="session")
def port(random: Random) -> int:
    """A port that nobody can type in beforehand."""
    return random.port()


@pytest.fixture(scope="module")
def moved_server(
    image: Image, house: House, gallery: Gallery, link: str, shows_file: str, port: int
) -> Server:
    """A server on another port, with a single show."""
    env = {"PORT": str(port), "SHOWS_FILE": shows_file, "POSTERS_DIR": gallery.folder}
    files = {shows_file: dumps([house.shows[0]]), **gallery.files(link)}
    return image.start(env=env, files=files, port=port)


@points(
    2,
    hints=(
        (
            "Look at what you remember about a taken seat, and at how you compare the id and"
            " the seat in the path with the ones you know."
        ),
        (
            "Remember a taken seat under its show's id and its own name together. From its"
            " first character to its last, an id has only the digits 0 to 9, and a seat matches"
            " ^[A-F]([1-9]|10)$."
        ),
    ),
    link="A part of the path is a value",
)
def check_finds_resources(
    server: Server, moved_server: Server, house: House, random: Random
) -> None:
    """Shows and seats are found by their paths, and a seat is taken in one show only"""
    chosen = random.shuffled(house.shows)[:4]
    for show in chosen:
        server.get(f"/api/shows/{show['id']}").expect(200, json=show)
        server.get(f"/api/shows/{show['id']}?page=2").expect(200, json=show)
    first, second = (show["id"] for show in chosen[:2])
    seat, other = f"{random.pick('BC')}{random.integer(2, 9)}", f"D{random.integer(2, 9)}"
    sells_a_seat(server, (first, second), (seat, other), random)
    for free in ("A1", "A10", "F1", "F10"):
        expect_seat(server, second, free, taken=False)
    unknown = max(show["id"] for show in house.shows) + random.integer(1, 99)
    # The digits of another script: some languages read them as numbers, too.
    eastern = quote("".join(chr(0x0660 + int(digit)) for digit in str(first)))
    for no_id in (str(unknown), eastern, *(pattern.format(first) for pattern in NO_IDS)):
        expect_unknown(server.get(f"/api/shows/{no_id}"))
        expect_unknown(server.get(f"/api/shows/{no_id}/seats/{other}"))
        expect_unknown(server.post(f"/api/shows/{no_id}/seats/{other}", json={"user": "ada"}))
    for no_seat in NO_SEATS:
        expect_unknown(server.get(f"/api/shows/{first}/seats/{no_seat}"))
        expect_unknown(server.post(f"/api/shows/{first}/seats/{no_seat}", json={"user": "ada"}))
    only = house.shows[0]
    moved_server.get(f"/api/shows/{only['id']}").expect(200, json=only)


def sells_a_seat(
    server: Server, shows: tuple[int, int], seats: tuple[str, str], random: Random
) -> None:
    """Take a seat in one of two shows, then the same in the other."""
    (show, elsewhere), (seat, beside) = shows, seats
    user, late = f"{random.word()} {random.text(3)}", random.word()
    places = [(show, seat), (show, beside), (elsewhere, seat)]
    for at, free in places:
        expect_seat(server, at, free, taken=False)
    take(server, show, seat, user).expect(201, json={"seat": seat, "user": user})
    for at, place in places:
        expect_seat(server, at, place, taken=(at, place) == (show, seat))
    for again in (late, user):
        take(server, show, seat, again).expect(409, json={"error": "seat_taken"})
    take(server, elsewhere, seat, late).expect(201, json={"seat": seat, "user": late})


def take(server: Server, show: int, seat: str, user: str) -> Reply:
    """Ask for a seat."""
    return server.post(f"/api/shows/{show}/seats/{seat}", json={"user": user})


def expect_seat(server: Server, show: int, seat: str, *, taken: bool) -> None:
    """Compare what is said of a seat."""
    server.get(f"/api/shows/{show}/seats/{seat}").expect(200, json={"seat": seat, "taken": taken})


def expect_unknown(reply: Reply) -> None:
    """Compare a reply with the one to an unknown path."""
    reply.expect(404, json={"error": "not_found"})


@points(
    1,
    hints=(
        "Look at the order of your routes: which one answers /api/shows/next?",
        (
            "Declare /api/shows/next before /api/shows/:id; sort the shows by time once, and"
            " answer the first whose starts_at is greater than T, never equal to it."
        ),
    ),
    link="The first route that matches wins",
)
def check_specific_route_wins(server: Server, house: House, random: Random) -> None:
    """GET /api/shows/next?at=T answers the first show after T, and is not read as an id"""
    # The route with :id answers 404 here, and that mistake is about the order of the routes.
    server.get(f"/api/shows/next?at={house.starts(0)}").expect(200)
    with advising(
        "Sort the shows by time, then answer the first whose starts_at is greater than T:"
        " with >, not >=."
    ):
        for index in random.shuffled(range(5, SHOWS - 5))[:5]:
            following = house.shows[index + 1]
            begin = datetime.fromisoformat(house.starts(index))
            for time in (begin, begin + timedelta(seconds=random.integer(1, 50))):
                server.get(f"/api/shows/next?at={time:%FT%TZ}").expect(200, json=following)
    with advising(
        "This path has one parameter, at. It's required: 400 without it, 404 if no show is"
        " later. Ignore every other parameter, such as limit."
    ):
        # `limit` belongs to another path.
        for more in ("", "&limit=none", "&limit=5&limit=5"):
            early = server.get(f"/api/shows/next?at=2001-01-01T00:00:00Z{more}")
            early.expect(200, json=house.shows[0])
        expect_unknown(server.get(f"/api/shows/next?at={house.starts(-1)}"))
        expect_bad_query(server.get("/api/shows/next"))


@points(
    2,
    hints=(
        (
            "Look at the query of that request. If you answered 200 instead of 400, you convert"
            " a value without testing its whole text, or take one of two values. If the list is"
            " wrong, look at the filters, at both ends of the time range, at the order and at"
            " the limit. If you answered 400 instead of 200, look at how you decode values, and"
            " at parameters that aren't this path's own."
        ),
        (
            "Test the whole text before you convert it: limit is ^[0-9]+$ and from 1 to 50, and"
            " a time is valid if you can parse it and writing it out again gives the same text."
            " Look for parameters given twice: Express makes an array of them, FastAPI takes the"
            " last. Filter first, then sort, then apply the limit."
        ),
    ),
    link="The query is text, and anybody may write it",
)
def check_reads_queries(server: Server, house: House, random: Random) -> None:
    """GET /api/shows filters by q, from, to and limit, and each bad value is refused"""
    for query, wanted in good_queries(house, random):
        server.get(f"/api/shows{query}").expect(200, json={"shows": wanted})
    for query in bad_queries(house, random):
        expect_bad_query(server.get(f"/api/shows?{query}"))
    # An answer that has no such route yet learns that from another check.
    time = house.starts(7)
    if server.get(f"/api/shows/next?at={time}").status == OK:
        for query in (f"at={time}&at={time}", *(f"at={no_time}" for no_time in NO_TIMES)):
            expect_bad_query(server.get(f"/api/shows/next?{query}"))


def good_queries(house: House, random: Random) -> Iterator[tuple[str, list[Show]]]:
    """Return queries, and the shows that each finds."""
    shows, starts = house.shows, house.starts
    begin, length = random.integer(5, 30), random.integer(6, 15)
    end = begin + length
    yield "", shows[:20]
    yield "?limit=50", shows[:50]
    yield "?limit=1", shows[:1]
    yield f"?limit={length}", shows[:length]
    yield f"?from={starts(begin)}", shows[begin : begin + 20]
    yield f"?to={starts(length)}", shows[:length]
    yield f"?from={starts(begin)}&to={starts(end)}", shows[begin:end]
    yield f"?to={starts(end)}&limit={length - 2}&from={starts(begin)}", shows[begin : end - 2]
    yield f"?page=2&sort=title&{random.word()}=1&limit=3", shows[:3]
    # `at` belongs to another path, and is no parameter of this one.
    yield "?at=tomorrow&limit=4", shows[:4]
    yield "?at=tomorrow&at=tomorrow&limit=4", shows[:4]
    yield f"?q={random.word()}", []
    yield "?q=price_cents", []
    yield "?from=2099-12-31T23:59:59Z", []
    # A day that only a leap year has; all shows are earlier.
    yield "?from=2028-02-29T00:00:00Z", []
    # Any value may be encoded, not just that of q.
    yield f"?from={quote(starts(begin), safe='')}&limit=%35", shows[begin : begin + 5]
    yield from texts(house)
    late = [show for show in house.containing(house.needle) if show["starts_at"] >= starts(60)]
    yield f"?q={quote(house.needle)}&from={starts(60)}&limit=2", late[:2]


def texts(house: House) -> Iterator[tuple[str, list[Show]]]:
    """Return queries with q, which is looked for in any case and as it is."""
    needle = house.needle
    series = house.containing(needle)
    for text in (needle, needle.upper(), needle.title(), needle[2:-1].upper()):
        yield f"?q={quote(text)}", series
    yield f"?q={quote(needle)}&limit=3", series[:3]
    # A blank in front of it belongs to it.
    yield f"?q={quote(' ' + needle)}", house.containing(f" {needle}")
    word = house.named["{0} (2.5)"]["title"].split()[0]
    yield f"?q={quote(f'{word} (2.')}", [house.named["{0} (2.5)"]]
    yield "?q=2.5", [house.named["{0} (2.5)"]]
    yield f"?q={quote('ćAO #', safe='')}", [house.named["Ćao #{0}&{1}"]]
    yield f"?q={quote('GOSPOĐA')}", house.containing("gospođa")
    # Another letter, though it looks alike: only case makes no difference.
    yield f"?q={quote(needle.replace('ž', 'z'))}", []
    # The first five change if they're decoded twice; the last three are wildcards elsewhere.
    for text in ("%41", "0%", "+", " = ?", "%2f", "%", "_", "*"):
        yield f"?q={quote(text, safe='')}", house.containing(text)


def bad_queries(house: House, random: Random) -> Iterator[str]:
    """Return queries with a bad value."""
    number = random.integer(2, 9)
    for value in NO_NUMBERS:
        yield f"limit={value.format(number)}"
    for value in NO_TIMES:
        yield f"from={value}"
        yield f"to={value}"
    early, late = house.starts(3), house.starts(9)
    twice = {"q": (house.needle[:3], "a"), "from": (early, late), "to": (late, early)}
    for name, (one, two) in (twice | {"limit": (number, number + 1)}).items():
        yield f"{name}={quote(str(one))}&{name}={two}"
        yield f"{name}={two}&limit={number}&{name}={two}" if name != "limit" else "limit=5&limit=5"


def expect_bad_query(reply: Reply) -> None:
    """Compare a reply with the one to a bad value."""
    reply.expect(400, json={"error": "bad_query"})


@points(
    2,
    hints=(
        "Find out whether your framework has decoded this value before you get it.",
        (
            "Take the value as the framework hands it over and compare it as it is; if you read"
            " the raw path yourself, split it at its slashes first, then decode each part once."
            " FastAPI has decoded the slashes too, so a title needs {title:path}."
        ),
    ),
    link="Decode exactly once",
)
def check_decodes_once(server: Server, house: House, gallery: Gallery, random: Random) -> None:
    """Percent-encoded titles, seats and posters are decoded exactly once"""
    for show in random.shuffled(list(house.named.values())):
        for spelling in spellings(show["title"]):
            server.get(f"/api/titles/{spelling}").expect(200, json=show)
        server.get(f"/api/titles/{escaped(show['title'])}?v=%2541").expect(200, json=show)
    show = random.pick(house.shows[30:])
    number, seat = escaped(str(show["id"])), escaped("E7")
    server.get(f"/api/shows/{number}/seats/{seat}").expect(200, json={"seat": "E7"})
    expect_unknown(server.get(f"/api/shows/{quote(number)}"))
    expect_unknown(server.get(f"/api/shows/{number}/seats/{quote(seat)}"))
    # Selling a seat twice is another check's matter.
    take(server, show["id"], "E7", "ada")
    again = take(server, show["id"], "E7", "bea")
    spelled = server.post(f"/api/shows/{number}/seats/{seat}", json={"user": "cleo"})
    spelled.expect(again.status)
    for name, data in gallery.named.items():
        for spelling in spellings(name):
            server.get(f"/posters/{spelling}").expect(200, body=data)
    for title in (
        random.word(), house.needle, f"{show['title']} ", show["title"][:-1],
        "constructor", "__proto__", "toString",
    ):  # fmt: skip
        expect_unknown(server.get(f"/api/titles/{quote(title, safe='')}"))


def spellings(text: str) -> Iterable[str]:
    """Return a text percent-encoded as usual, in lower case, and with nothing left as it is."""
    usual = quote(text, safe="")
    lower = "".join(quote(c, safe="").lower() if quote(c, safe="") != c else c for c in text)
    return dict.fromkeys([usual, lower, escaped(text), usual.replace("%2B", "+")])


def escaped(text: str) -> str:
    """Return a text with each byte percent-encoded."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


@points(
    2,
    hints=(
        "Look at where the path leads once dots and links are followed, not at how it is spelled.",
        (
            "Decode once, join with the folder, ask for the real path (realpath), and serve it"
            " only if it begins with the folder plus a slash and is a regular file; anything else,"
            " errors too, is 404."
        ),
    ),
    link="Nobody leaves the folder",
)
def check_never_leaves_the_folder(server: Server, gallery: Gallery, link: str) -> None:
    """Posters come from every depth of the folder, and nothing comes from outside it"""
    with advising(
        "Does your route match a path of several parts (Express: /posters/*path, FastAPI:"
        " {path:path})? Use all of them, and send the file's bytes as they are, however its"
        " name ends."
    ):
        for path, data in gallery.posters.items():
            server.get(f"/posters/{path}").expect(200, body=data)
    folder, deepest = list(gallery.posters)[-1].rsplit("/", 1)
    for absent in (
        folder, folder.split("/")[0], f"{folder}/x{deepest}", f"x{deepest}", deepest,
        f"{folder}/{deepest}/{deepest}",
    ):  # fmt: skip
        expect_unknown(server.get(f"/posters/{absent}"))
    for path in (*ways_up(gallery, folder), *links_out(gallery, link)):
        expect_no_poster(server, path, gallery)
    for path, data in gallery.posters.items():
        server.get(f"/posters/{path}?v=../{folder}").expect(200, body=data)


def ways_up(gallery: Gallery, folder: str) -> Iterator[str]:
    """Return spellings of a path to the secret beside the folder, and absolute ones."""
    secret = gallery.secret
    above, _, name = gallery.folder.rpartition("/")
    for up in (
        "../", "..%2f", "..%2F", "%2e%2e/", "%2E%2E%2F", ".%2e/", "%2e./", "..%5c", "%2e%2e%5c",
        "....//", "..././", "....%2f%2f", "%2e%2e%2e%2e%2f%2f", "%252e%252e%252f", "..%252f",
        "%252e%252e/", "..%25252f", "./../", "/../", "..;/", "..%00/",
    ):  # fmt: skip
        yield f"{up}{secret}"
        yield f"{folder}/{up * 3}{secret}"
    for neighbour in ("../", "..%2f", "%2e%2e%2f", "....//"):
        yield f"{neighbour}{gallery.neighbour.rpartition('/')[2]}/{secret}"
    for root in (f"{above}/{secret}", f"/{secret}", f"{above}/./{name}/../{secret}"):
        yield from (root, f"/{root}", quote(root, safe=""), f"file:%2f%2f{quote(root, safe='')}")
    yield from (
        f"..%2f{secret}%00.png",
        f"%2e%2e/{secret}%00",
        f"{folder}%00",
        "%00",
        "..",
        "%2e%2e",
    )
    yield from ("../" * 8 + secret, "..%2f" * 8 + secret, "x" * 300)


def links_out(gallery: Gallery, link: str) -> Iterator[str]:
    """Return paths that are spelled innocently, and lead out through a symbolic link."""
    yield from (f"{link}.png", f"{link}-up.png", link, f"{link}/{gallery.secret}")


def expect_no_poster(server: Server, path: str, gallery: Gallery) -> None:
    """Ask for a path that is no poster, and compare the reply."""
    reply = server.get(f"/posters/{path}")
    if gallery.canary.encode() in reply.body:
        reply.fail("nothing from outside of POSTERS_DIR", f"{reply.status} and the file outside")
    # Some frameworks send everybody to the tidy form of a path before they look for a route.
    if reply.status in REDIRECTS and ("//" in f"/posters/{path}" or ".." in path):
        return
    if reply.status == 400:
        reply.expect(400, json={"error": "bad_path"})
    else:
        expect_unknown(reply)


@points(
    1,
    hints=(
        (
            "Look at the answers your framework gives by itself: no such path, no such method, a"
            " path that can't be decoded, and a redirect to a path with a slash at its end."
        ),
        (
            "Put a handler that answers 404 after all routes. Give each path a last handler for"
            " all other methods, which sets Allow and answers 405. For broken encoding, answer"
            " 400 in an error handler, or, if your framework reports no error (FastAPI doesn't),"
            " test the raw path yourself. FastAPI also redirects:"
            " FastAPI(redirect_slashes=False)."
        ),
    ),
    link="404, 405 and 400",
)
def check_answers_unknowns(server: Server, house: House, gallery: Gallery, random: Random) -> None:
    """Unknown paths are 404, other methods 405 with Allow, broken paths 400, all in JSON"""
    show = random.pick(house.shows)
    for pattern in UNKNOWN:
        path = pattern.format(random.word(), show["id"])
        for method in ("GET", "POST", "DELETE", "PUT"):
            expect_unknown(server.request(method, path))
    poster = list(gallery.posters)[-1]
    paths = {f"/api/shows/{show['id']}/seats/A2": {"GET", "POST"}}
    title = quote(house.named["Gospođa {0}"]["title"])
    for path in (
        "shows",
        "shows?limit=3",
        f"shows/next?at={house.starts(5)}",
        f"shows/{show['id']}",
    ):
        paths[f"/api/{path}"] = {"GET"}
    for path, known in {
        **paths,
        f"/api/titles/{title}": {"GET"},
        f"/posters/{poster}": {"GET"},
    }.items():
        for method in sorted({"POST", "PUT", "PATCH", "DELETE"} - known):
            expect_not_allowed(server.request(method, path), known)
    for broken in BROKEN:
        for path in (f"titles/{broken}", f"shows/{broken}", f"shows/{show['id']}/seats/{broken}"):
            server.get(f"/api/{path}").expect(400, json={"error": "bad_path"})
    for method, path in (("DELETE", "titles/%zz"), ("GET", "shows/0/seats/%zz")):
        server.request(method, f"/api/{path}").expect(400, json={"error": "bad_path"})
    # The last two are dots and slashes in bytes that only look like UTF-8.
    for up in (*(f"{broken}-" for broken in BROKEN), "%c0%ae%c0%ae/", "..%c0%af"):
        expect_no_poster(server, f"{up}{gallery.secret}", gallery)


def expect_not_allowed(reply: Reply, known: set[str]) -> None:
    """Compare a reply with the one to a method that a path does not have."""
    reply.expect(405, json={"error": "method_not_allowed"}, headers={"Allow": None})
    told = {method.strip() for method in reply.headers["Allow"].split(",")}
    if not known <= told <= {*known, "HEAD", "OPTIONS"}:
        reply.fail(f"Allow: {', '.join(sorted(known))}", f"Allow: {reply.headers['Allow']}")
