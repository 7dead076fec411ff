"""Two processes do not make the same images at once."""

import threading

import pytest

from coursework.files import one_at_a_time


def test_a_second_one_waits_and_says_so(tmp_path, monkeypatch):
    """It goes on when the first has ended."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    told, order = [], []
    waits = threading.Event()

    def tell(text):
        told.append(text)
        waits.set()

    def second():
        with one_at_a_time(tell):
            order.append("second")

    other = threading.Thread(target=second)
    with one_at_a_time(told.append):
        other.start()
        assert waits.wait(10)
        order.append("first")
    other.join(10)
    assert order == ["first", "second"]
    assert told == ["another course command prepares images: waiting for it"]


def test_an_error_gives_the_lock_back(tmp_path, monkeypatch):
    """After a failed build the next one does not wait."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt), one_at_a_time(told.append):
        raise KeyboardInterrupt
    with one_at_a_time(told.append):
        assert told == []
