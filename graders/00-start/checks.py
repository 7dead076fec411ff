from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from coursework.checks import Builder, Image, Random, Reply, Server, Submission, points

HEADING = "Lantern"
# The contract says so: a page of any length would cost the grader any time.
LIMIT_PAGE_BYTES = 100_000
# A folder at home holds more than the answer's files: COPY . takes this one too.
NOTEBOOK = "exercise.ipynb"


@pytest.fixture(scope="session")
def tonight(random: Random) -> str:
    """Return tonight's programme; what a shell or an editor would change in it is in it."""
    play, author, singer = random.words(3)
    return (
        f"Tonight: {play}  \n"
        f"\tby {author} & <{random.text(6)}>\n"
        f"at {random.integer(17, 21)}:{random.integer(10, 59)}, with {singer}\r\n\n\n"
    )


@pytest.fixture(scope="session")
def image(builder: Builder, tonight: str) -> Image:
    """The image, built with another tonight.txt, and with a notebook beside it."""
    return builder.build(files={"tonight.txt": tonight, NOTEBOOK: "{}"})


@pytest.fixture(scope="module")
def server(image: Image) -> Server:
    """The server behind port 80."""
    return image.start(port=80)


class Headings(HTMLParser):
    """Collects the text of each <h1> of a page, however its tags are written."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._is_inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Begin the text of a heading."""
        if tag == "h1":
            self.texts.append("")
            self._is_inside = True

    def handle_endtag(self, tag: str) -> None:
        """End it."""
        if tag == "h1":
            self._is_inside = False

    def handle_data(self, data: str) -> None:
        """Take what is inside, also of the tags in it."""
        if self._is_inside:
            self.texts[-1] += data


def headings(reply: Reply) -> list[str]:
    """Return the text of each <h1> of the page, without blanks around it."""
    page = Headings()
    try:
        page.feed(reply.text)
        page.close()
    except AssertionError:
        # The parser's way to say that a declaration such as <![x is none.
        reply.fail("a page of HTML")
    return [" ".join(text.split()) for text in page.texts]


@points(
    4,
    hints=(
        (
            "Is the page it saw yours? If not, look at which folder the server takes its pages "
            "from. If it is, count its <h1> headings, and check that each one is closed."
        ),
        (
            "COPY index.html /usr/share/nginx/html/ puts your page in place of nginx's own. The "
            "page needs <h1>Lantern</h1>, once, with nothing else in it."
        ),
    ),
    link="Your own image: a first Dockerfile",
)
def check_serves_the_page(server: Server) -> None:
    """GET / answers a page with exactly one h1, Lantern"""
    reply = server.get("/").expect(200, type="text/html")
    if len(reply.body) > LIMIT_PAGE_BYTES:
        reply.fail(f"a page of at most {LIMIT_PAGE_BYTES:,} bytes", f"{len(reply.body):,} bytes")
    found = headings(reply)
    if found != [HEADING]:
        seen = " and ".join(f"<h1>{text[:80]}</h1>" for text in found[:5]) or "no <h1> at all"
        reply.fail(f"exactly one <h1>{HEADING}</h1>", seen)


@points(
    4,
    hints=(
        (
            "The check lays another tonight.txt beside your Dockerfile before it builds. How does "
            "that file get into your image?"
        ),
        (
            "COPY tonight.txt /usr/share/nginx/html/ takes the file as it is. Don't write its text "
            "anywhere, and don't send it through a shell."
        ),
    ),
    link="Your own image: a first Dockerfile",
)
def check_serves_tonight(server: Server, tonight: str) -> None:
    """GET /tonight.txt answers the bytes of tonight.txt"""
    server.get("/tonight.txt").expect(200, body=tonight)


@points(
    2,
    needs=("serves_the_page",),
    hints=(
        (
            "Look at the path after try. Is it one of your own files, or a file of the base image? "
            "Or does your server answer every path?"
        ),
        (
            "nginx says 404 by itself if you leave its configuration alone. Copy the two files by "
            "name, into a folder for pages only: COPY . also publishes your Dockerfile and your "
            "notebook."
        ),
    ),
    link="Ask a server with curl",
)
def check_says_not_found(server: Server, submission: Submission, random: Random) -> None:
    """Any other path answers 404"""
    one, two, three, four, five = random.words(5)
    paths = (
        f"/{one}", f"/{two}.html", f"/{three}/tonight.txt", f"/tonight.txt{four}", f"/{five}/",
        "/Dockerfile", f"/{NOTEBOOK}", "/etc/passwd",
    )  # fmt: skip
    own = {f"/{quote(name)}" for name in submission.files} - {"/index.html", "/tonight.txt"}
    for path in (*paths, *sorted(own - {*paths})):
        reply = server.get(path)
        if reply.status != 404:
            reply.fail(f"404 to GET {path}")
