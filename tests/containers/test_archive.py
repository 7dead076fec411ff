"""What is laid into a container comes out of it again."""

import pytest
from docker.errors import NotFound

from coursework.containers.archive import Link, pack, read_file
from coursework.images import ensure_images

pytestmark = pytest.mark.engine


@pytest.fixture
def container(engine):
    """Return a container that never ran."""
    ensure_images(engine, ["busybox:1.37"])
    made = engine.client.containers.create("busybox:1.37")
    yield made
    made.remove()


def test_a_file_comes_out_as_it_was_laid_in(container):
    data = bytes(range(256)) * 1000
    container.put_archive("/", pack({"/srv/a/data": data, "srv/text": "grüße"}))
    assert read_file(container, "/srv/a/data") == data
    assert read_file(container, "/srv/text") == "grüße".encode()


def test_a_link_is_laid_as_a_link(container):
    container.put_archive("/", pack({"/srv/here/link": Link("/srv/there"), "/srv/there": "text"}))
    _, told = container.get_archive("/srv/here/link")
    assert told["linkTarget"] == "/srv/there"
    assert read_file(container, "/srv/there") == b"text"


def test_a_folder_reads_as_empty_and_nothing_is_not_found(container):
    assert read_file(container, "/etc") == b""
    with pytest.raises(NotFound):
        read_file(container, "/nowhere")
