"""A small curl for machines without one: what failing checks print can be retyped.

It knows `-i -I -s -S -v -X -H -d --data --data-binary --json -m -o --max-time` and one address.
"""

import argparse
import http.client
import sys
from pathlib import Path
from urllib.parse import urlsplit

FAILED_TO_CONNECT = 7
TIMED_OUT = 28


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="curl", description=__doc__)
    parser.add_argument("-i", "--include", action="store_true")
    parser.add_argument("-I", "--head", action="store_true")
    parser.add_argument("-s", "--silent", action="store_true")
    parser.add_argument("-S", "--show-error", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("-X", "--request")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-d", "--data", "--data-binary", "--data-raw")
    parser.add_argument("--json")
    parser.add_argument("-m", "--max-time", type=float, default=300)
    parser.add_argument("-o", "--output")
    parser.add_argument("address")
    return parser


def _headers(options: argparse.Namespace) -> dict[str, str]:
    headers = {"User-Agent": "curl", "Accept": "*/*"}
    if options.json is not None:
        headers |= {"Content-Type": "application/json", "Accept": "application/json"}
    elif options.data is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    for line in options.header:
        name, _, value = line.partition(":")
        headers[name.strip()] = value.strip()
    return headers


def _body(options: argparse.Namespace) -> bytes | None:
    text = options.json if options.json is not None else options.data
    if text is None:
        return None
    return Path(text[1:]).read_bytes() if text.startswith("@") else str(text).encode()


def main(arguments: list[str] | None = None) -> int:
    """Send one request and print the answer; the exit code is curl's own."""
    options = _parser().parse_args(arguments)
    given = options.address if "://" in options.address else f"http://{options.address}"
    url = urlsplit(given)
    body = _body(options)
    method = options.request or ("HEAD" if options.head else "GET" if body is None else "POST")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    connection = http.client.HTTPConnection(
        url.hostname or "localhost", url.port or 80, timeout=options.max_time
    )
    try:
        connection.request(method, path, body, _headers(options))
        reply = connection.getresponse()
        content = reply.read()
    except TimeoutError:
        print(f"curl: ({TIMED_OUT}) Operation timed out", file=sys.stderr)  # noqa: T201
        return TIMED_OUT
    except (OSError, http.client.HTTPException) as error:
        print(f"curl: ({FAILED_TO_CONNECT}) {error}", file=sys.stderr)  # noqa: T201
        return FAILED_TO_CONNECT
    head = f"HTTP/1.1 {reply.status} {reply.reason}\r\n{reply.headers}".encode()
    shown = (head if options.include or options.head else b"") + content
    if options.output:
        Path(options.output).write_bytes(shown)
    else:
        sys.stdout.buffer.write(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
