"""What tests of cohorts share: a second engine, which may die."""

from tests.engine.conftest import own_network, private

__all__ = ["own_network", "private"]
