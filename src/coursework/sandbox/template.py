"""What sandboxes of a module begin with: its images, and a build cache that its answers warmed."""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from docker.errors import APIError, NotFound

from coursework.containers.building import BuildFailed, build_image
from coursework.containers.runs import LABEL_RUN, Run
from coursework.engine import Engine
from coursework.files import one_at_a_time
from coursework.images import ensure_images, known_images
from coursework.images.transfer import load_blocks, saved_blocks
from coursework.layout import user_cache
from coursework.modules.catalogue import Module
from coursework.sandbox.place import IMAGE
from coursework.sandbox.sandbox import TEMPLATE, Proxy, Sandbox, SandboxLimits
from coursework.trouble import engine_trouble

_LABEL = "course.template"
_LABEL_MADE = "course.template.made"
_HELPER_IMAGE = "busybox:1.37"
# A template is ours, and wants no limit but the machine's.
_LIMITS = SandboxLimits(memory="8g", cpus=16, processes=4096)

Answers = Sequence[Mapping[str, bytes]]
Tell = Callable[[str], None]


def prepare_template(
    outer: Engine, run: Run, module: Module, answers: Answers, proxy: Proxy, tell: Tell
) -> str:
    """Return the volume that sandboxes of a module mount; it is made where there is none.

    Its name changes with the images and the answers that it was made of.

    Args:
        outer: the engine that sandboxes run in.
        run: labels what is made meanwhile.
        module: whose images it holds.
        answers: files of right answers; they are built once, so that later builds find the steps.
        proxy: lets these builds out.
        tell: is told each step.

    Raises:
        CourseError: an image cannot be made, or no sandbox comes up.
    """
    images = dict.fromkeys((*module.images, *module.check_images, _HELPER_IMAGE))
    template = f"course-template-{module.slug}-{_digest(images, answers)}"
    with (
        one_at_a_time(tell, f"template-{module.slug}", "prepares the sandboxes' template"),
        engine_trouble("The sandboxes' template cannot be made."),
    ):
        if not _is_ready(outer, template):
            # One that is ready has them in it, whatever the outer engine has by now.
            ensure_images(outer, [*images], tell)
            _make(outer, run, template, list(images), answers, proxy, module.slug, tell)
        _remove_older(outer, module.slug, template)
    return template


def _digest(images: Mapping[str, None], answers: Answers) -> str:
    recipes = known_images()
    content = [
        [recipes[name].digest for name in (*images, IMAGE)],
        [sorted((n, hashlib.sha256(d).hexdigest()) for n, d in a.items()) for a in answers],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def _ready_mark(template: str) -> Path:
    return user_cache() / "templates" / template


def _is_ready(outer: Engine, template: str) -> bool:
    """Tell whether a volume was made to its end, and is not another one of the same name."""
    try:
        labels = outer.client.volumes.get(template).attrs["Labels"]
        return bool(_ready_mark(template).read_text("utf-8") == labels[_LABEL_MADE])
    except (NotFound, OSError, KeyError):
        return False


def _make(
    outer: Engine,
    run: Run,
    template: str,
    images: list[str],
    answers: Answers,
    proxy: Proxy,
    slug: str,
    tell: Tell,
) -> None:
    start = time.monotonic()
    with suppress(NotFound):
        outer.client.volumes.get(template).remove(force=True)
    made = secrets.token_hex(8)
    labels = {_LABEL: slug, _LABEL_MADE: made}
    outer.client.volumes.create(template, labels=labels)
    sandbox = Sandbox(outer, run, 0, proxy=proxy, data=template, limits=_LIMITS)
    try:
        engine = sandbox.wait_until_ready()
        tell(f"sandboxes: copying {', '.join(images)}")
        load_blocks(engine, saved_blocks(outer, images))
        contexts = build_contexts(answers)
        for number, files in enumerate(contexts, start=1):
            tell(f"sandboxes: building image {number} of {len(contexts)}, for the cache")
            with suppress(BuildFailed):
                build_image(engine, files, module=slug)
        sandbox.stop()
    finally:
        sandbox.remove()
    outer.client.containers.run(
        IMAGE, entrypoint="seal.sh", labels={LABEL_RUN: run.run_id}, remove=True,
        volumes={template: {"bind": TEMPLATE, "mode": "rw"}},
    )  # fmt: skip
    mark = _ready_mark(template)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(made, "utf-8")
    tell(f"sandboxes: the template is ready, {time.monotonic() - start:.0f} s")


def build_contexts(answers: Answers) -> list[dict[str, bytes]]:
    """Return each folder of the answers that has a Dockerfile, as its build sees it, once.

    Example:
        >>> build_contexts([{"web/Dockerfile": b"FROM scratch", "compose.yaml": b""}])
        [{'Dockerfile': b'FROM scratch'}]

    """
    found: list[dict[str, bytes]] = []
    for files in answers:
        for folder in sorted(n.removesuffix("Dockerfile") for n in files if _is_dockerfile(n)):
            inside = {n.removeprefix(folder): d for n, d in files.items() if n.startswith(folder)}
            if inside not in found:
                found.append(inside)
    return found


def _is_dockerfile(name: str) -> bool:
    return name.rpartition("/")[2] == "Dockerfile"


def _remove_older(outer: Engine, slug: str, template: str) -> None:
    for volume in outer.client.volumes.list(filters={"label": f"{_LABEL}={slug}"}):
        if volume.name != template:
            # One that a sandbox still uses goes the next time.
            with suppress(APIError):
                volume.remove()
