"""A clone is found from anywhere inside it."""

from pathlib import Path

from coursework.layout import find_layout, user_cache


def test_a_clone_is_found_from_a_folder_inside(tmp_path):
    """Any folder of a clone leads to its root."""
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "catalogue.toml").write_text("", "utf-8")
    deep = tmp_path / "work" / "02-first-server"
    deep.mkdir(parents=True)
    assert find_layout(deep).root == tmp_path


def test_elsewhere_the_clone_of_this_installation_is_found(tmp_path):
    """Outside of any clone the one that is installed is meant."""
    assert find_layout(tmp_path).root == Path(__file__).resolve().parents[1]


def test_the_cache_follows_the_users_setting(monkeypatch, tmp_path):
    """XDG_CACHE_HOME moves the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "http-to-kubernetes"
