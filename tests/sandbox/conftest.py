"""What tests of sandboxes share: a network of their own."""

from tests.engine.conftest import own_network

__all__ = ["own_network"]
