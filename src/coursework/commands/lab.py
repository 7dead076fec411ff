"""course lab: JupyterLab with an engine beside it."""

import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from coursework.engine import Engine, buildx, find_engine, start_engine, use
from coursework.engine.private import private_engine
from coursework.lab.server import FIRST_PORT, Lab, free_port, has_display, interrupted_by_any_end
from coursework.lab.server import uninterrupted as finish
from coursework.layout import Layout, find_layout
from coursework.modules.catalogue import load_catalogue
from coursework.modules.progress import left_off, opened_images, write_start_page
from coursework.progress_line import steps

_Tell = Callable[[str], None]


@click.command(name="lab")
@click.option("--port", type=click.IntRange(1, 65535), default=FIRST_PORT, show_default=True)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    help="Let kubectl of the lessons use another cluster.",
)
def command(port: int, no_browser: bool, kubeconfig: Path | None) -> int:
    """Open the course in JupyterLab; Ctrl-C ends it and what it started.

    \b
    Example:
      course lab --port 9000 --no-browser
    """
    layout = find_layout()
    catalogue = load_catalogue(layout)
    first = left_off(layout, catalogue)
    images = opened_images(catalogue, first)
    private = private_engine()
    engine: Engine | None = None
    with interrupted_by_any_end():
        try:
            with steps() as tell:
                engine = _engine(tell)
                lab = _lab(layout, engine, first, free_port(port), kubeconfig)
            with lab:
                # JupyterLab starts meanwhile.
                with steps() as tell:
                    _lay(layout)
                    _images(engine, images, tell)
                    lab.wait_until_usable()
                _announce(lab, engine, port, browser=not no_browser and has_display())
                buildx.bring_in_background()
                return lab.wait()
        except KeyboardInterrupt:
            click.echo("\nJupyterLab, its kernels and its terminals have ended.")
            return 0
        finally:
            use.let_go(private.folder)
            finish(lambda: _end(engine))


def _engine(tell: _Tell) -> Engine:
    if engine := find_engine():
        return engine
    engine = start_engine(tell)
    if engine.kind == "private":
        use.end_with_last(private_engine().folder)
    return engine


def _lab(layout: Layout, engine: Engine, first: str, port: int, kubeconfig: Path | None) -> Lab:
    other = {"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}
    return Lab(
        folder=layout.root / "work",
        environment=engine.environment() | other,
        port=port,
        log=layout.state / f"lab-{port}.log",
        opens=first,
    )


def _lay(layout: Layout) -> None:
    from coursework.modules.workspace import start_modules  # noqa: PLC0415 - loads notebooks' format

    write_start_page(layout)
    beside = [laid.path for laid in start_modules(layout) if laid.state == "beside"]
    for path in beside:
        click.echo(f"! {path.relative_to(layout.root)} is newer than your changed copy beside it")


def _images(engine: Engine, images: tuple[str, ...], tell: _Tell) -> None:
    from coursework.images import ensure_images  # noqa: PLC0415 - JupyterLab starts meanwhile

    ensure_images(engine, images, tell)


def _announce(lab: Lab, engine: Engine, wanted: int, *, browser: bool) -> None:
    if lab.port != wanted:
        click.echo(f"! port {wanted} is in use: JupyterLab took {lab.port}")
    click.echo(f"✓ {engine.kind} engine at {engine.docker_host}")
    click.echo(f"✓ JupyterLab is ready:\n\n    {lab.url}\n\n  Ctrl-C ends it.")
    if browser:
        webbrowser.open(lab.url)


def _end(engine: Engine | None) -> None:
    """Remove what failed checks have left to be looked at, and end an engine that was ours."""
    if engine:
        from coursework.containers.cleaning import remove_ended  # noqa: PLC0415 - loads the client

        # What is not removed now the next check removes.
        with suppress(OSError):
            remove_ended(engine.client)
    _end_engine()


def _end_engine() -> None:
    private = private_engine()
    if not use.is_for_labs(private.folder):
        return
    if use.is_used(private.folder):
        click.echo("The container engine goes on: another lab or check uses it.")
        return
    with steps() as tell:
        private.stop(tell)
    click.echo("The container engine has ended; its images stay.")
