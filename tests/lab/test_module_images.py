"""An open notebook's images are made beside its kernel; a cell that wants one waits for it."""

import os
import subprocess
import threading
import time

import pytest
from jupyter_client.manager import start_new_kernel

from coursework.engine import processes
from coursework.files import one_at_a_time
from coursework.lab.module_images import images_of_open_notebook, wanted_images
from coursework.notebook import SAVES_WHAT_RUNS
from tests.clone import own, tiny_clone

NAMES = ("nginx:1.26", "course/tools:1")
SLUG = own("90-images")


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("%%bash\ndocker run --rm course/tools:1 nc web 80", ["course/tools:1"]),
        ("!docker run -d nginx:1.26", ["nginx:1.26"]),
        ("%%bash\ndocker run nginx:1.26-alpine; docker run other.example/nginx:1.26", []),
        ("%%bash\ndocker compose up --detach", [*NAMES]),
        ("%%bash\ndocker ps", []),
        ("%%writefile notes.md\ndocker run nginx:1.26", []),
        ("print('nginx:1.26')", []),
    ],
)
def test_a_cell_wants_what_it_names_and_all_where_it_builds(cell, wanted):
    """What Compose and a build use is in other files."""
    assert wanted_images(cell, NAMES) == wanted


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Return a clone whose module's lesson uses an image that nothing has made yet."""
    layout = tiny_clone(tmp_path / "clone", SLUG)
    name = f"{own('course/test-lesson')}:1"
    text = layout.catalogue.read_text("utf-8")
    layout.catalogue.write_text(f'{text}lesson_images = ["{name}"]\n', "utf-8")
    folder = layout.root / "images" / "lesson"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text(f"# image: {name}\nFROM scratch\nCOPY . /\n", "utf-8")
    layout.work(SLUG).mkdir(parents=True)
    monkeypatch.chdir(layout.work(SLUG))
    monkeypatch.setenv(SAVES_WHAT_RUNS, "1")
    monkeypatch.setenv("JPY_SESSION_NAME", "lesson.ipynb")
    return layout, name


def test_only_an_open_notebook_of_a_module_has_images(clone, monkeypatch):
    """Neither an exercise that uses none, nor another folder, nor a kernel outside of the lab."""
    layout, _ = clone
    assert images_of_open_notebook() is not None
    monkeypatch.setenv("JPY_SESSION_NAME", "exercise.ipynb")
    assert images_of_open_notebook() is None
    monkeypatch.setenv("JPY_SESSION_NAME", "lesson.ipynb")
    monkeypatch.chdir(layout.root)
    assert images_of_open_notebook() is None
    monkeypatch.chdir(layout.work(SLUG))
    monkeypatch.delenv(SAVES_WHAT_RUNS)
    assert images_of_open_notebook() is None


@pytest.fixture
def kernel(clone, engine, monkeypatch):
    """Return the image's name and what runs a cell in a kernel of the lesson."""
    _, name = clone
    monkeypatch.setenv("DOCKER_HOST", engine.docker_host)
    manager, client = start_new_kernel(env=dict(os.environ))

    def run(source):
        said: list[str] = []
        client.execute_interactive(
            source, output_hook=lambda m: said.append(str(m["content"])), timeout=120
        )
        return "".join(said)

    yield name, run
    client.stop_channels()
    manager.shutdown_kernel()
    subprocess.run(
        ["docker", "rmi", "--force", name], env=engine.environment(), check=False,
        capture_output=True,
    )  # fmt: skip


def lock(name):
    return one_at_a_time(print, f"image-{name.replace('/', '-').replace(':', '-')}")


def there(engine, name):
    return bool(engine.client.images.list(name))


def wait(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.engine
def test_an_open_lesson_makes_its_images(kernel, engine):
    """No cell was run."""
    name, _ = kernel
    wait(lambda: there(engine, name))


@pytest.mark.engine
def test_an_image_that_is_out_of_date_is_left_as_it_is(clone, engine, monkeypatch):
    """Another clone may have made it by a recipe of its own."""
    _, name = clone
    monkeypatch.setenv("DOCKER_HOST", engine.docker_host)
    engine.client.images.get("busybox:1.37").tag(name)
    before = processes.children(os.getpid())
    try:
        images = images_of_open_notebook()
        assert images is not None
        images.begin()
        assert processes.children(os.getpid()) == before
        images.end()
    finally:
        engine.client.images.remove(name)


@pytest.mark.engine
def test_a_cell_waits_for_its_image_and_then_succeeds(clone, request):
    """Somebody else makes it when the lesson is opened; the reader sees that it's waited for."""
    name = clone[1]
    free, held = threading.Event(), threading.Event()

    def hold():
        with lock(name):
            held.set()
            free.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    _, run = request.getfixturevalue("kernel")
    later = threading.Timer(5, free.set)
    later.start()
    said = run(f"%%bash\ndocker image inspect --format 'found it' {name}")
    assert f"makes {name}: waiting for it" in said
    assert "found it" in said
    assert "isn't here yet" not in said
    later.join()
    holder.join()


@pytest.mark.engine
def test_a_cell_without_its_image_says_what_to_type(clone, request):
    """It can't be made: the reason, and below the failed cell the command."""
    layout, name = clone
    (layout.root / "images" / "lesson" / "Dockerfile").write_text(
        f"# image: {name}\nFROM scratch\nCOPY nothing /\n", "utf-8"
    )
    _, run = request.getfixturevalue("kernel")
    said = run(f"%%bash\ndocker image inspect {name}")
    assert f"The image {name} could not be built" in said
    assert f"in a terminal: course images make {name}" in said


@pytest.mark.engine
def test_what_makes_them_ends_with_the_kernel(clone, engine, monkeypatch):
    """Also while it waits for somebody else."""
    monkeypatch.setenv("DOCKER_HOST", engine.docker_host)
    before = processes.children(os.getpid())

    def making():
        kernels = set(processes.children(os.getpid())) - {*before}
        return [pid for kernel in kernels for pid in processes.children(kernel)]

    with lock(clone[1]):
        manager, client = start_new_kernel(env=dict(os.environ))
        wait(making)
        begun = making()
        client.stop_channels()
        manager.shutdown_kernel()
        wait(lambda: not any(map(processes.is_running, begun)))
