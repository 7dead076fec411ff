"""What is read from the API's objects."""

import pytest

from coursework.cluster.api import selector

IN = {"key": "tier", "operator": "In", "values": ["web", "front"]}
NOT_IN = {"key": "tier", "operator": "NotIn", "values": ["db"]}
EXISTS = {"key": "app", "operator": "Exists"}
ABSENT = {"key": "old", "operator": "DoesNotExist"}


@pytest.mark.parametrize(
    ("wanted", "query"),
    [
        ({"matchLabels": {"app": "web", "tier": "front"}}, "app=web,tier=front"),
        ({"matchExpressions": [IN]}, "tier in (web,front)"),
        ({"matchExpressions": [NOT_IN, EXISTS, ABSENT]}, "tier notin (db),app,!old"),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [EXISTS]}, "app=web,app"),
        ({"matchLabels": None, "matchExpressions": None}, ""),
        (None, ""),
    ],
)
def test_a_selector_is_read_in_all_its_forms(wanted, query):
    """Labels and expressions become what the API is asked, as kubectl asks it."""
    assert selector({"spec": {"selector": wanted}}) == query
