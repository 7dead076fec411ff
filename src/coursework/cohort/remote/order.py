"""What every worker of a run is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from coursework.cohort.remote.identity import Identity


@dataclass(frozen=True)
class Order:
    """A run, as a worker has to know it.

    Args:
        resource: the run's name, as a resource of Dask's that only fitting workers offer.
        module: slug.
        trusted: grade without sandboxes.
        identity: of the clone that asks.
    """

    resource: str
    module: str
    trusted: bool
    identity: Identity

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the one that was sent."""
        identity = Identity.from_json(values["identity"])
        return cls(values["resource"], values["module"], values["trusted"], identity)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, which clones of other commits understand as well."""
        identity = self.identity.to_json()
        return {"resource": self.resource, "module": self.module, "trusted": self.trusted,
                "identity": identity}  # fmt: skip
