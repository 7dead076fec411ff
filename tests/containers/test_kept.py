"""What failed checks left is known by check, until each of them runs again."""

from coursework.containers.kept import Kept
from coursework.layout import Layout


def test_each_check_keeps_its_own(tmp_path):
    """A check that ran again lets go of what it had left; those that did not run keep theirs."""
    kept = Kept(Layout(tmp_path), "90-tiny")
    assert kept.names() == set()
    assert kept.replace(["a", "b"], {"a": {"one", "ours"}, "b": {"two", "ours"}}) == set()
    assert kept.names() == {"one", "two", "ours"}
    assert kept.replace(["a"], {"a": {"three"}}) == {"one"}
    assert kept.replace(["a"], {}) == {"three"}
    assert kept.replace([], {}) == set()
    assert kept.names() == {"two", "ours"}


def test_another_module_has_its_own(tmp_path):
    """Checks of two modules may have one name."""
    Kept(Layout(tmp_path), "90-tiny").replace([], {"a": {"one"}})
    assert Kept(Layout(tmp_path), "91-other").names() == set()


def test_a_state_folder_that_cannot_be_written_costs_no_verdict(tmp_path):
    """Nothing is noted, and nothing is raised."""
    layout = Layout(tmp_path)
    layout.state.write_text("a file where the folder would be", "utf-8")
    kept = Kept(layout, "90-tiny")
    assert kept.replace(["a"], {"a": {"one"}}) == set()
    assert kept.names() == set()
