"""Grading one submission: its files are built, started, probed from outside and reported on."""

import os
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pytest

from coursework.checks import (
    backends,
    builder,
    cloud,
    cluster,
    image,
    meanwhile,
    memcached,
    monitoring,
    nats,
    pgbouncer,
    plugin,
    postgres,
    rabbitmq,
    randomness,
    relay,
    runner,
    sandbox,
    server,
    stack,
    store,
    stub,
    terraform,
    valkey,
)
from coursework.checks.deadline import answers_run_in
from coursework.checks.home import Home, work_of
from coursework.checks.load import call_before_release
from coursework.checks.points import Check, describe
from coursework.checks.run import CheckRun, Task
from coursework.checks.services import Services
from coursework.checks.verdict import CheckResult, Report
from coursework.containers.building import Limits
from coursework.containers.cleaning import remove_ended_containers, remove_named
from coursework.containers.kept import Kept
from coursework.containers.runs import open_run
from coursework.engine import Engine
from coursework.images import ensure_images
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.modules.module_files import module_files
from coursework.submissions.files import Submission
from coursework.submissions.names import missed_files
from coursework.trouble import CourseError

# Each brings the fixture of its name.
_WORDS = (
    backends, builder, cloud, cluster, image, meanwhile, memcached, monitoring, nats, pgbouncer,
    postgres, rabbitmq, randomness, relay, runner, sandbox, server, stack, store, stub, terraform,
    valkey,
)  # fmt: skip


@dataclass(frozen=True)
class Watcher:
    """Who is told how a grading goes on.

    Args:
        on_step: is called with a line such as a build's step.
        on_result: is called with each verdict.
    """

    on_step: Callable[[str], None] = lambda _: None
    on_result: Callable[[CheckResult], None] = lambda _: None


def _base_images(dockerfile: bytes, known: tuple[str, ...]) -> list[str]:
    """Return the course's images that a Dockerfile names."""
    text = dockerfile.decode(errors="replace")
    return [name for name in known if name in text]


def grade(
    module: Module,
    files: Mapping[str, bytes],
    *,
    layout: Layout,
    engine: Engine,
    only: tuple[str, ...] = (),
    seed: int | None = None,
    keep: bool = True,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    rootless: bool = False,
    alone: bool = False,
    home: Home | None = None,
    watcher: Watcher = Watcher(),
) -> Report:
    """Grade one answer to a module's exercise.

    Nothing of the submission runs in this process: it is built and started by the engine.

    Args:
        module: of the catalogue; images that it names are made where absent.
        files: what the learner wrote, by relative path.
        layout: the clone with graders and given files.
        engine: where to build and run.
        only: names of checks; with those that they need. All by default.
        seed: repeats an earlier run's random values; a new one by default.
        keep: leave the containers of each failed check up until that check passes.
        limits: of each build.
        rootless: a cluster beside the answer has no root on this machine, where that can be had.
        alone: the files are built as they are, without the module's starter and given ones.
        home: where the learner has the answer; the module's folder of work/ by default.
        watcher: is told how it goes on.

    Raises:
        CourseError: the engine, an image or the checks themselves are in trouble.

    """
    start = time.monotonic()
    laid = dict(files) if alone else module_files(layout, module.slug).around(files)
    bases = _base_images(laid.get("Dockerfile", b""), module.images)
    ensure_images(engine, [*bases, *module.check_images], watcher.on_step)
    timings = {"images_s": time.monotonic() - start}
    task = Task(
        module, Submission(laid, module.slug), home or work_of(layout, module.slug),
        secrets.randbelow(2**32) if seed is None else seed, limits,
        watcher.on_step, watcher.on_result, rootless,
    )  # fmt: skip
    with (
        open_run(module.slug) as owner, ThreadPoolExecutor(1) as pool, answers_run_in(engine)
    ):  # fmt: skip
        kept = Kept(layout, module.slug)
        pool.submit(remove_ended_containers, engine.client, module.slug, kept.names)
        run = CheckRun(task, Services(engine, owner), keeps_failed=keep)
        results = _run_checks(layout, run, only)
        if keep and not engine.is_sandbox:
            ran = [r.name for r in results if r.verdict in ("passed", "failed")]
            remove_named(engine.client, kept.replace(ran, run.kept()))
    timings["build_s"] = run.build_s
    timings["checks_s"] = sum(r.duration_s for r in results)
    timings["total_s"] = time.monotonic() - start
    rounded = {name: round(seconds, 3) for name, seconds in sorted(timings.items())}
    missed = () if alone else tuple(missed_files(files, laid))
    return Report(module.slug, owner.run_id, task.seed, tuple(results), rounded, missed)


def _run_checks(layout: Layout, run: CheckRun, only: tuple[str, ...]) -> list[CheckResult]:
    slug = run.task.module.slug
    checks = plugin.CheckPlugin(run, only)
    forget = call_before_release(run.services.wait_until_calm)
    interrupted = True
    try:
        status = _pytest(layout, slug, [*_WORDS, plugin, checks], run.task.seed)
        interrupted = status == _INTERRUPTED
    finally:
        forget()
        run.keeps_failed &= not interrupted
        run.close()
    if checks.escaped:
        raise checks.escaped
    if checks.trouble:
        raise CourseError(
            f"The checks of {slug} are in trouble; this is not your mistake.",
            why=checks.trouble,
            fix=f"course audit {slug}",
        )
    # pytest calls both Ctrl-C and checks that cannot be loaded "interrupted".
    if interrupted:
        raise KeyboardInterrupt
    if run.build_trouble:
        raise run.build_trouble
    if not checks.results:
        raise CourseError(
            f"{slug} has no check named {', '.join(only)}." if only else "No check ran.",
            why=f"its checks: {', '.join(c.name for c in list_checks(layout, slug))}",
        )
    return checks.results


_INTERRUPTED = 2


def _pytest(layout: Layout, slug: str, plugins: list[Any], seed: int, *more: str) -> int:
    file = layout.grader(slug) / "checks.py"
    if not file.is_file():
        raise CourseError(f"{slug} has no checks.", why=f"{file} is missing", fix="course list")
    options = [str(file), "-c", os.devnull, f"--rootdir={layout.root}", "--import-mode=importlib",
               "--noconftest", "--disable-plugin-autoload", "--capture=no", "--strict-markers",
               "-o", "python_files=checks.py", "-o", "python_functions=check_*",
               *more]  # fmt: skip
    for name in ("cacheprovider", "terminal", "warnings", "faulthandler", "threadexception",
                 "unraisableexception", "logging", "doctest", "unittest", "junitxml",
                 "pastebin", "stepwise"):  # fmt: skip
        options += ["-p", f"no:{name}"]
    with _untouched_interpreter(seed):
        return int(pytest.main(options, plugins=plugins))


@contextmanager
def _untouched_interpreter(seed: int) -> Iterator[None]:
    """Leave a notebook's kernel as it was: no module of the checks, no reseeded generator."""
    modules, path, state = set(sys.modules), list(sys.path), random.getstate()
    variable = os.environ.get("PYTEST_ADDOPTS")
    os.environ.pop("PYTEST_ADDOPTS", None)
    random.seed(seed)
    try:
        yield
    finally:
        for name in set(sys.modules) - modules:
            if name.endswith(".checks") and not name.startswith("coursework"):
                del sys.modules[name]
        sys.path[:] = path
        random.setstate(state)
        if variable is not None:
            os.environ["PYTEST_ADDOPTS"] = variable


def list_checks(layout: Layout, slug: str) -> tuple[Check, ...]:
    """Return a module's checks in order.

    Raises:
        CourseError: the checks' file cannot be loaded.
    """
    try:
        text = (layout.grader(slug) / "checks.py").read_bytes()
    except OSError:
        text = b""
    return _listed(layout, slug, text)


# Collecting takes a third of a second, and rules ask for the same checks several times.
@lru_cache(maxsize=128)
def _listed(layout: Layout, slug: str, text: bytes) -> tuple[Check, ...]:
    del text
    collector = _Collector()
    _pytest(layout, slug, [*_WORDS, plugin, collector], 0, "--collect-only")
    if collector.trouble:
        raise CourseError(f"The checks of {slug} cannot be loaded.", why=collector.trouble)
    return tuple(collector.checks)


class _Collector:
    """A pytest plugin that only looks at what a checks' file holds."""

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.trouble = ""

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.trouble = str(report.longrepr)[-1500:]

    def pytest_collection_finish(self, session: Any) -> None:
        self.checks = [
            replace(describe(item.function), needs_image="image" in item.fixturenames)
            for item in session.items
        ]
