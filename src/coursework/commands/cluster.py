"""course cluster: the Kubernetes that lessons and checks use."""

import json
import sys

import click

from coursework.cluster import Node, kubectl, load_images
from coursework.engine import find_engine, start_engine
from coursework.images import ensure_images, known_images
from coursework.progress_line import steps
from coursework.trouble import CourseError

_KUBECTL = "https://kubernetes.io/docs/tasks/tools/"


@click.group(name="cluster")
def command() -> None:
    """Start, stop or show a whole Kubernetes in one container.

    \b
    Example:
      course cluster start
      kubectl get pods --all-namespaces       (in the lab's terminal)
    """


@command.command()
@click.option(
    "--memory",
    default="4g",
    show_default=True,
    help="The limit of all that runs in a new cluster, in Docker's notation.",
)
def start(memory: str) -> None:
    """Make it run and wait until it is ready; what it held before is there again."""
    with steps() as tell:
        engine = start_engine(tell)
        node = Node(engine)
        node.start(tell, memory=memory)
        program = kubectl.bring(engine, node)
    click.echo(f"✓ Kubernetes is ready; NodePorts answer at {node.address}")
    if program is None:
        click.echo(f"! kubectl is not brought for this machine; install it: {_KUBECTL}", err=True)


@command.command()
@click.option("--delete", is_flag=True, help="Forget what it holds, too.")
def stop(delete: bool) -> None:
    """End it, and the one for graded submissions; what it holds stays until it is deleted."""
    engine = find_engine()
    if engine is None:
        click.echo("No container engine runs, so no Kubernetes does.")
        return
    nodes = (Node(engine), Node(engine, rootless=True))
    if delete:
        deleted = [node.delete() for node in nodes]
        click.echo("✓ Kubernetes is deleted" if any(deleted) else "There is no Kubernetes.")
    elif sum(node.stop() for node in nodes):
        click.echo("✓ Kubernetes has ended; `course cluster start` brings back what it holds")
    else:
        click.echo("No Kubernetes runs.")


@command.command()
@click.argument("names", nargs=-1, required=True)
def load(names: tuple[str, ...]) -> None:
    """Copy images of the engine into the cluster, which has no registry to pull from.

    \b
    Example:
      course cluster load busybox:1.37 my-image
    """
    with steps() as tell:
        engine = start_engine(tell)
        ensure_images(engine, [n for n in names if n in known_images()], tell)
        tell("copying images into the cluster")
        copied = load_images(engine, Node(engine), names)
    for name in dict.fromkeys(names):
        click.echo(f"✓ {name}" if name in copied else f"✓ {name} was there already")


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def status(as_json: bool) -> None:
    """Show how it is; exit 1 where it is not ready."""
    engine = find_engine()
    node = Node(engine) if engine else None
    state = node.state if node else "absent"
    running = node if state == "running" else None
    missing = running.missing() if running else ""
    ready = running is not None and not missing
    shown = {
        "state": state,
        "ready": ready,
        "missing": missing,
        "address": running.address if running else "",
        "ingress": running.ingress if running else "",
        "memory_mb": round(running.memory_bytes() / 1e6) if running else 0,
    }
    if as_json:
        click.echo(json.dumps(shown, indent=2))
    elif ready:
        click.echo(f"✓ Kubernetes is ready, {shown['memory_mb']} MB")
        click.echo(f"  NodePorts answer at {shown['address']}")
        if shown["ingress"]:
            click.echo(f"  Ingresses answer at {shown['ingress']}")
    else:
        what = f"Kubernetes lacks {missing}" if missing else f"Kubernetes is {state}"
        click.echo(f"✗ {what}\n  fix   course cluster start")
    if not ready:
        sys.exit(1)


@command.command()
def kubeconfig() -> None:
    """Print the file with which any kubectl reaches it; it opens everything in the cluster."""
    engine = find_engine()
    if engine is None:
        raise CourseError("No Kubernetes runs.", fix="course cluster start")
    click.echo(Node(engine).access().written(), nl=False)
