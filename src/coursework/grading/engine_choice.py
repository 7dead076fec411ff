"""The engine that a module's checks want: yours, or one that is thrown away after them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from coursework.engine import Engine
from coursework.grading.warming import warming_answers
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.trouble import CourseError


@dataclass
class Place:
    """Where one answer is graded.

    Args:
        engine: where it is built and started.
        is_kept: whether an engine that was made for it is left running at the end.
    """

    engine: Engine
    is_kept: bool = False


@contextmanager
def place_for(
    layout: Layout, module: Module, outer: Engine, tell: Callable[[str], None]
) -> Iterator[Place]:
    """Yield the place in which one answer to a module is graded.

    Args:
        layout: the clone with the module's right answers; they warm the build cache.
        module: that is answered.
        outer: the engine of this machine, or a sandbox's already.
        tell: is told each step.

    Raises:
        CourseError: the module wants a sandbox, and none can be had here.

    Example:
        >>> with place_for(layout, module, start_engine(), print) as place:
        ...     report = grade(module, files, layout=layout, engine=place.engine)

    """
    if not module.sandbox or outer.is_sandbox:
        yield Place(outer)
        return
    # Loaded here: most modules need none of it, and their learners wait for a verdict.
    from coursework.sandbox.opening import open_fleet  # noqa: PLC0415

    _require(module, outer)
    answers = warming_answers(layout, module)
    with open_fleet(outer, module, answers, tell, ahead=1, wanted=1) as fleet:
        tell("starting an engine for this answer alone")
        sandbox, engine = fleet.take()
        place = Place(engine)
        yield place
        if place.is_kept:
            fleet.keep(sandbox)


def _require(module: Module, outer: Engine) -> None:
    from coursework.sandbox.place import require_sandboxes  # noqa: PLC0415

    try:
        require_sandboxes(outer)
    except CourseError as error:
        raise CourseError(
            f"The checks of {module.slug} need an engine of their own, which cannot run here.",
            why=error.why,
            fix="do this module on a machine with Linux 6.6 or newer",
        ) from error
