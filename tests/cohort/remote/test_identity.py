"""How a clone differs from the one that asks is said in words."""

from dataclasses import replace

import pytest

from coursework.cohort.remote.identity import Identity
from coursework.cohort.remote.order import Order
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue

OURS = Identity("c" * 40, "code", "module", "proof")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"commit": "d" * 40}, "it has commit ddddddddd, this clone has ccccccccc"),
        ({"commit": ""}, "it has commit none"),
        ({"code": "x"}, "restart the worker"),
        ({"module": "x"}, "its checks, given files or images"),
        ({"proof": ""}, "its proof of the module differs"),
    ],
)
def test_the_difference_is_named(changed, said):
    told = replace(OURS, **changed).unlike(OURS)
    assert said in told
    assert bool(said) == bool(told)


def test_another_check_or_proof_makes_another_identity(clone, monkeypatch, tmp_path):
    import shutil

    monkeypatch.chdir(clone)
    layout = Layout(tmp_path / "clone")
    shutil.copytree(clone, layout.root)
    (module,) = load_catalogue(layout).modules
    before = Identity.of(layout, module)
    assert before == Identity.of(Layout(clone), module)
    (layout.grader(module.slug) / "proof.json").write_text("{}")
    assert "proof" in Identity.of(layout, module).unlike(before)
    with (layout.grader(module.slug) / "checks.py").open("a") as checks:
        checks.write("# changed\n")
    assert "checks" in Identity.of(layout, module).unlike(before)


def test_an_order_travels_as_json_values():
    order = Order("course-1", "90-remote", trusted=True, identity=OURS)
    assert Order.from_json(order.to_json()) == order
