"""The file that tells kubectl and us how a cluster is reached."""

import base64
import ssl
import tempfile
from dataclasses import dataclass
from typing import Any, Self

import yaml

from coursework.trouble import CourseError


@dataclass(frozen=True)
class Access:
    """How a cluster is reached, and as whom.

    Args:
        server: the API server's address, https.
        authority: certificates of who signed its certificate, PEM.
        certificate: of the user, PEM; empty for a user with a token.
        key: of that certificate, PEM.
        token: of the user; empty for a user with a certificate.
    """

    server: str
    authority: str
    certificate: str = ""
    key: str = ""
    token: str = ""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the current context of a kubeconfig that holds its certificates itself.

        Raises:
            CourseError: it is none, or its certificates are elsewhere.
        """
        try:
            config = yaml.safe_load(text)
            context = _named(config, "contexts", config["current-context"])["context"]
            cluster = _named(config, "clusters", context["cluster"])["cluster"]
            user = _named(config, "users", context["user"])["user"]
            return cls(
                server=cluster["server"],
                authority=_decoded(cluster["certificate-authority-data"]),
                certificate=_decoded(user.get("client-certificate-data", "")),
                key=_decoded(user.get("client-key-data", "")),
                token=user.get("token", ""),
            )
        except (yaml.YAMLError, KeyError, TypeError, StopIteration, ValueError) as error:
            raise CourseError("This is no usable kubeconfig.", why=repr(error)[:200]) from error

    def as_user(self, token: str) -> "Access":
        """Return the same cluster for somebody with a token."""
        return Access(self.server, self.authority, token=token)

    def context(self) -> ssl.SSLContext:
        """Return the TLS context for connections to the server."""
        context = ssl.create_default_context(cadata=self.authority)
        if self.certificate:
            # Python reads a key from a file only; it is there for no longer than that.
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                file.write(f"{self.certificate}\n{self.key}")
                file.flush()
                context.load_cert_chain(file.name)
        return context

    def written(self, name: str = "course", namespace: str = "default") -> str:
        """Write it as a kubeconfig with one context.

        Args:
            name: of the context, the cluster and the user.
            namespace: where commands look that name none.
        """
        user: dict[str, str] = {"token": self.token} if self.token else {
            "client-certificate-data": _encoded(self.certificate),
            "client-key-data": _encoded(self.key),
        }  # fmt: skip
        cluster = {"server": self.server, "certificate-authority-data": _encoded(self.authority)}
        context = {"cluster": name, "user": name, "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": context}],
            "current-context": name,
        }
        return yaml.safe_dump(config, sort_keys=False)


def _named(config: Any, kind: str, name: str) -> Any:
    return next(entry for entry in config[kind] if entry["name"] == name)


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode("ascii")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
