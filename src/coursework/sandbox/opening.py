"""Everything that sandboxes of one module need, made at the beginning and gone at the end."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from coursework.containers.cleaning import remove_ended
from coursework.containers.runs import Run, open_run
from coursework.engine import Engine
from coursework.images import ensure_images
from coursework.modules.catalogue import Module
from coursework.sandbox.fleet import Fleet
from coursework.sandbox.place import IMAGE, remove_ended_sockets, require_sandboxes
from coursework.sandbox.sandbox import Proxy, SandboxLimits
from coursework.sandbox.template import Answers, Tell, prepare_template
from coursework.trouble import engine_trouble


@contextmanager
def open_fleet(
    outer: Engine,
    module: Module,
    answers: Answers,
    tell: Tell,
    *,
    ahead: int,
    wanted: int,
    limits: SandboxLimits = SandboxLimits(),  # noqa: B008 - frozen
) -> Iterator[Fleet]:
    """Open a fleet; what a killed run of the module left is removed first.

    Args:
        outer: the engine that sandboxes run in.
        module: whose answers are graded in them.
        answers: right ones, laid out as they are built; they warm the build cache.
        tell: is told each step.
        ahead: how many wait ready.
        wanted: how many will be taken in all.
        limits: of each.

    Raises:
        CourseError: no sandbox can run here.
    """
    require_sandboxes(outer)
    ensure_images(outer, [IMAGE], tell)
    remove_ended(outer.client, module.slug)
    remove_ended_sockets(outer)
    kept: set[str] = set()
    try:
        with open_run(module.slug) as run, _open_proxy(outer, run) as proxy:
            template = prepare_template(outer, run, module, answers, proxy, tell)
            with Fleet(
                outer, run, template, proxy, ahead=ahead, wanted=wanted, limits=limits
            ) as fleet:
                kept = fleet.kept
                yield fleet
    finally:
        # What an engine under load did not remove when it was asked; one that is gone is asked
        # by the next run.
        with suppress(OSError):
            remove_ended(outer.client, module.slug, but=kept)


@contextmanager
def _open_proxy(outer: Engine, run: Run) -> Iterator[Proxy]:
    with engine_trouble("The sandboxes' proxy cannot be started."):
        proxy = Proxy(outer, run)
    try:
        yield proxy
    finally:
        proxy.remove()
