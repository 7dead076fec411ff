"""A cohort's submissions to one module, graded by the workers of Dask's scheduler."""

import secrets
from collections.abc import Sequence

from coursework.cohort.grading import Progress, graded_by
from coursework.cohort.remote.batch import Batch
from coursework.cohort.remote.connection import connected
from coursework.cohort.remote.identity import Identity
from coursework.cohort.remote.order import Order
from coursework.cohort.remote.roll import Tell
from coursework.cohort.results import Results
from coursework.cohort.source import HandedIn
from coursework.grading.grade import list_checks
from coursework.layout import Layout
from coursework.modules.catalogue import Module


def grade_remotely(
    address: str,
    layout: Layout,
    module: Module,
    results: Results,
    submissions: Sequence[HandedIn],
    *,
    trusted: bool,
    progress: Progress,
    tell: Tell,
) -> None:
    """Grade submissions on other machines and write a result for each, here.

    Args:
        address: of the scheduler.
        layout: the clone.
        module: that is answered.
        results: the folder of results.
        submissions: those to grade.
        trusted: use no sandboxes, where the module itself wants none.
        progress: is told of each result and of trouble.
        tell: is told what becomes of workers.

    Raises:
        CourseError: there is no scheduler or no fitting worker, or the disk is full; results that
            are written stay.
    """
    resource = f"course-{secrets.token_hex(4)}"
    order = Order(resource, module.slug, trusted, Identity.of(layout, module))
    checks = list_checks(layout, module.slug)
    with connected(address) as client:
        tell(f"Dask's dashboard: {client.dashboard_link}")
        Batch(
            client, address, order, graded_by(layout, module), checks, results, submissions,
            progress, tell,
        ).work()  # fmt: skip
