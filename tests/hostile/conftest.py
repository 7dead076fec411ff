"""Hostile manifests meet the cluster in which submissions are judged."""

import pytest


@pytest.fixture(scope="session")
def node(judging_node):
    """Return that cluster in the place of the tests' own."""
    return judging_node
