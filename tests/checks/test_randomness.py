"""Random values cannot be typed in, and a seed brings them back."""

from coursework.checks.randomness import Random


def values(seed):
    random = Random(seed)
    return [random.words(5), random.text(), random.integer(1, 9), random.port(), random.bytes(8),
            random.hex(32), random.pick("abc"), random.shuffled([1, 2, 3])]  # fmt: skip


def test_one_seed_gives_one_set_of_values():
    """The same seed repeats everything, another one nothing much."""
    assert values(1) == values(1)
    assert values(1) != values(2)


def test_words_are_never_equal():
    """No word comes twice in a run."""
    words = Random(3).words(500)
    assert len(set(words)) == 500
    assert all(w.isalpha() and w.isascii() for w in words)


def test_text_is_longer_in_bytes_than_in_characters():
    """Text goes beyond ASCII, so that counting characters is a visible mistake."""
    text = Random(4).text(10)
    assert len(text.encode()) > len(text)


def test_shuffled_is_another_order():
    """Shuffling two or more items never gives the order that came in."""
    random = Random(5)
    assert all(random.shuffled([1, 2]) == [2, 1] for _ in range(20))
    assert random.shuffled([1]) == [1]
