"""A program that is run many times in one container."""

import pytest

from coursework.checks import Start

pytestmark = pytest.mark.engine

DOCKERFILE = """FROM busybox:1.37
WORKDIR /srv
USER 1000
COPY program.sh /
ENV GIVEN=by-the-image
ENTRYPOINT ["sh", "/program.sh"]
CMD ["its-argument"]
"""
PROGRAM = """
cat
echo "$1 $GIVEN $(pwd) $(id -u) $(cat "$FILE")"
echo "not $FILE" >&2
exit "$CODE"
"""


@pytest.fixture
def image(image_of):
    def of(program, dockerfile=DOCKERFILE):
        return image_of({"Dockerfile": dockerfile, "program.sh": program})

    return of


def test_each_start_has_its_own_variables_files_and_end(image):
    """It is the image's program, by its user, in its folder; what it reads ends at once."""
    starts = [
        Start({"FILE": f"/data/{n}", "CODE": f"{n}"}, {f"/data/{n}": f"text {n}"}) for n in range(3)
    ]
    ends = image(PROGRAM).run_each(starts)
    assert [end.exit_code for end in ends] == [0, 1, 2]
    for n, end in enumerate(ends):
        assert end.stdout == f"its-argument by-the-image /srv 1000 text {n}\n"
        assert end.stderr == f"not /data/{n}\n"


@pytest.mark.parametrize("deed", ["sleep 60", "yes", "sleep 60 & exit 1"])
def test_what_does_not_end_is_none_and_takes_the_rest_with_it(image, deed):
    """Whoever asks runs them by themselves: what goes on would disturb them."""
    program = f'[ -z "$LAST" ] || {{ {deed}; }}'
    _, *behind = image(program).run_each(
        [Start(), Start({"LAST": "1"}), Start({"LAST": "1"}), Start()], within_s=2
    )
    assert behind == [None, None, None]


def test_an_image_that_cannot_wait_gives_none(image):
    """There is no container to run it in."""
    dockerfile = DOCKERFILE.replace("WORKDIR", "RUN rm /bin/sleep\nWORKDIR")
    assert image("exit 1", dockerfile).run_each([Start(), Start()]) == [None, None]


def test_of_endless_output_the_end_is_kept(image):
    """And no more of it than anybody reads."""
    (end,) = image("head -c 1000000 /dev/zero; echo end").run_each([Start()])
    assert end.stdout.endswith("\0end\n")
    assert len(end.stdout) < 100_000
