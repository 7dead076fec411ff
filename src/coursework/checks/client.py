"""Requests as written, one connection each; every failure says what came instead."""

import json as json_codec
from abc import ABC, abstractmethod
from collections.abc import Mapping

from coursework.checks.failure import CHECK_AGAIN, Failure
from coursework.checks.load import IN_CROWD
from coursework.checks.reply import Reply
from coursework.checks.wire import Connection

# For a request that is sent once more, when its check has failed.
_PATIENCE_S = 2.0
_SILENCE_S = 0.5


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
    def _note(self, command: str) -> None:
        """Remember the command as what shows the running check's last look."""

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
        self._note(CHECK_AGAIN if IN_CROWD.get() else command)
        fields = {"Host": self._host(), "Connection": "close", **sent}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        sent_bytes = f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body
        try:
            reply = self._ask(method, sent_bytes, timeout_s)
        except Failure as failure:
            failure.command = command
            failure.comes_again = lambda: self._is_refused(method, sent_bytes)
            failure.looked_for += f" to {method} {path[:80]}"
            self._explain(failure)
            raise
        reply.command = command
        status = reply.status
        reply.comes_again = lambda: self._ask(method, sent_bytes, _PATIENCE_S).status == status
        return reply

    def _ask(self, method: str, sent: bytes, timeout_s: float) -> Reply:
        with self._open(timeout_s) as connection:
            connection.send(sent)
            return connection.reply(to=method, timeout_s=timeout_s)

    def _is_refused(self, method: str, sent: bytes) -> bool:
        """Tell whether still no reply comes; a learner sees a silence sooner than it ends."""
        try:
            self._ask(method, sent, _SILENCE_S)
        except Failure:
            return True
        return False

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
