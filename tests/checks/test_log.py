"""Logs as records: what counts as one, and waiting for those of one request."""

import pytest

from coursework.checks.failure import Failure
from coursework.checks.log import Record, having, records_in

FILES = {
    "Dockerfile": """FROM busybox:1.37
COPY serve.sh /
COPY again /www/cgi-bin/
CMD ["sh", "/serve.sh"]
""",
    "serve.sh": """chmod +x /www/cgi-bin/again
for n in $(seq 300); do echo "{\\"id\\": \\"a\\", \\"n\\": $n}"; done
echo starting
echo '{"id": "on standard error"}' >&2
exec httpd -f -p 3000 -h /www
""",
    # Each request makes one more record, long after the others.
    "again": """#!/bin/sh
echo '{"id": "b"}' > /proc/1/fd/1
echo
""",
}


def test_lines_that_are_no_json_objects_are_left_out():
    """Plain text, other JSON values and half a line are not records."""
    log = 'Server running\n[1]\n"text"\n{"half": \n{"id": "a"}\n  {"id": "b", "n": 2}  \nnull\n'
    assert records_in(log) == [{"id": "a"}, {"id": "b", "n": 2}]


def test_only_a_newline_ends_a_line():
    """Some of the characters that Unicode calls line ends may be inside a JSON text."""
    assert records_in('{"path": "/a\u2028b"}\r\n{"n": 1}') == [{"path": "/a\u2028b"}, {"n": 1}]


@pytest.mark.parametrize("line", ['{"ms": NaN}', '{"ms": -Infinity}', '{"a":' * 100_000,
                                  '{"n": ' + "9" * 10_000 + "}"])  # fmt: skip
def test_what_only_python_reads_is_no_record(line):
    """A log of a stranger never ends in an error of ours."""
    assert records_in(line) == []


def test_records_are_chosen_by_their_fields():
    """A field that is absent has no value, not even null."""
    records: list[Record] = [{"id": "a", "status": 200}, {"id": "a", "status": None}, {"id": "a"}]
    assert having(records, {"id": "a"}) == records
    assert having(records, {"id": "a", "status": 200}) == records[:1]
    assert having(records, {"status": None}) == [records[1]]


@pytest.fixture
def server(image_of):
    """A server whose log has more lines than a report shows."""
    return image_of(FILES).start()


@pytest.mark.engine
def test_all_records_of_standard_output_are_found(server):
    """Also the oldest of many lines; standard error is another log."""
    records = server.log_records({"id": "a"}, at_least=300)
    assert [record["n"] for record in records] == list(range(1, 301))
    assert server.log_records({"id": "on standard error"}) == []


@pytest.mark.engine
def test_records_of_one_request_are_waited_for(server):
    """None is there before, and one after; a second one never comes."""
    assert server.log_records({"id": "b"}) == []
    server.get("/cgi-bin/again").expect(200)
    assert server.log_records({"id": "b"}, at_least=1) == [{"id": "b"}]
    with pytest.raises(Failure, match="2 JSON lines on standard output with \"id\": 'b'") as told:
        server.log_records({"id": "b"}, at_least=2, within_s=0.2)
    assert told.value.saw.startswith("1 among 301")
    assert told.value.command.startswith("docker logs")
