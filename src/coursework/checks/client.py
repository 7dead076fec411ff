"""Requests as written, one connection each; every failure says what came instead."""

import json as json_codec
from abc import ABC, abstractmethod
from collections.abc import Mapping

from coursework.checks.failure import Failure
from coursework.checks.reply import Reply
from coursework.checks.wire import Connection


class Client(ABC):
    """Sends requests to somebody; who that is, and how to reach them, is said by its kinds.

    Example:
        >>> server.get("/api/users").expect(200, exactly={"message": "Backend ready!"})
        >>> server.post("/notes", body=b"row C").expect(201, headers={"Location": None})

    """

    @abstractmethod
    def _prepare(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
        """Wait until requests can be sent, and return the command that sends this one again."""

    @abstractmethod
    def _host(self) -> str:
        """Return the value of the Host header."""

    @abstractmethod
    def _open(self, timeout_s: float) -> Connection:
        """Open a connection."""

    @abstractmethod
    def _explain(self, failure: Failure) -> None:
        """Add to a failure what is known of who was asked."""

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        json: object = None,
        timeout_s: float = 5.0,
    ) -> Reply:
        """Send one request and read its reply.

        Args:
            method: such as GET; sent as written.
            path: with its query, ASCII, already percent-encoded; sent as written.
            headers: further fields; Host, Connection and the length are set for you.
            body: bytes to send.
            json: a value to send as application/json instead.
            timeout_s: seconds until the reply must be whole.

        Raises:
            Failure: refused, cut, too slow, larger than 5 MB, or not HTTP.

        Example:
            >>> server.request("PUT", "/api/shows/7", json={"title": "Hamlet"}).expect(204)

        """
        sent = dict(headers or {})
        if json is not None:
            body = json_codec.dumps(json, ensure_ascii=False).encode()
            sent.setdefault("Content-Type", "application/json")
        if body or method in ("POST", "PUT", "PATCH"):
            sent["Content-Length"] = str(len(body))
        command = self._prepare(method, path, sent, body)
        fields = {"Host": self._host(), "Connection": "close", **sent}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        try:
            with self._open(timeout_s) as connection:
                connection.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
                reply = connection.reply(to=method, timeout_s=timeout_s)
        except Failure as failure:
            failure.command = command
            failure.looked_for += f" to {method} {path[:80]}"
            self._explain(failure)
            raise
        reply.command = command
        return reply

    def get(
        self, path: str, *, headers: Mapping[str, str] | None = None, timeout_s: float = 5.0
    ) -> Reply:
        """Send GET; see `request`."""
        return self.request("GET", path, headers=headers, timeout_s=timeout_s)

    def post(
        self,
        path: str,
        *,
        body: bytes = b"",
        json: object = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 5.0,
    ) -> Reply:
        """Send POST; see `request`."""
        return self.request(
            "POST", path, body=body, json=json, headers=headers, timeout_s=timeout_s
        )
