"""How fast a whole Kubernetes comes up, what it needs, and how fast it rolls out.

Each round makes a new cluster beside whatever runs, and deletes it again. Times begin at
`docker run`, as somebody outside sees them; medians of the rounds are printed, and the node's own
marks of each round.

`api_ready_s`: /readyz answers. `node_ready_s`: the node takes pods. `system_ready_s`: the system's
Deployments are available and metrics are served. `memory_mb`: of all of it then, without the
kernel's file cache. `rollout_s`: three replicas of a new Deployment, until all are ready.
`stop_s`: `docker stop`. `restart_s`: after `docker kill`, until all is ready again.

    python bench/cluster.py --rounds 3 --json
"""

import argparse
import json
import statistics
import sys
import time

from coursework.cluster import Node
from coursework.engine import Engine, start_engine
from coursework.images import ensure_images
from coursework.modules.catalogue import CLUSTER_IMAGE

NAME = "course-cluster-bench"
# What a cluster lacks, in the order in which it gets it, and the figure of having it.
STAGES = (("its API", "api_ready_s"), ("its node", "node_ready_s"))
PAUSE = {"name": "pause", "image": "course/system:1", "imagePullPolicy": "Never"}
DEPLOYMENT = {
    "metadata": {"name": "sleepers"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "sleepers"}},
        "template": {
            "metadata": {"labels": {"app": "sleepers"}},
            "spec": {"containers": [{**PAUSE, "command": ["/pause"]}]},
        },
    },
}


def one_round(engine: Engine) -> dict[str, float]:
    """Make a cluster, look at it, stop it, kill it and bring it back."""
    node = Node(engine, NAME)
    node.delete()
    try:
        figures = start(node)
        figures["memory_mb"] = node.memory_bytes() / 1e6
        figures["rollout_s"] = roll_out(node)
        print(node.log(), file=sys.stderr)
        began = time.monotonic()
        node.stop()
        figures["stop_s"] = time.monotonic() - began
        start(node)
        engine.client.containers.get(NAME).kill()
        figures["restart_s"] = start(node)["system_ready_s"]
        return figures
    finally:
        node.delete()


def start(node: Node) -> dict[str, float]:
    """Start it, and note when it lacks what no longer."""
    seen: dict[str, float] = {}
    began = time.monotonic()
    node.launch()
    while missing := node.missing():
        for stage, figure in STAGES:
            if missing == stage:
                break
            seen.setdefault(figure, time.monotonic() - began)
        # Asking costs the processors that the node starts with.
        time.sleep(0.1)
    end = time.monotonic() - began
    return {figure: end for _, figure in STAGES} | seen | {"system_ready_s": end}


def roll_out(node: Node) -> float:
    """Make a Deployment and wait until all of it is ready."""
    api = node.api()
    began = time.monotonic()
    api.create("deployments", DEPLOYMENT, namespace="default")
    wanted = DEPLOYMENT["spec"]["replicas"]  # type: ignore[index]
    while True:
        status = api.get("deployments", "sleepers", namespace="default").get("status", {})
        if status.get("readyReplicas") == wanted:
            return time.monotonic() - began
        time.sleep(0.02)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    arguments = parser.parse_args()
    engine = start_engine()
    ensure_images(engine, [CLUSTER_IMAGE], lambda step: print(step, file=sys.stderr))
    rounds = [one_round(engine) for _ in range(arguments.rounds)]
    figures = {name: round(statistics.median(r[name] for r in rounds), 2) for name in rounds[0]}
    figures["rounds"] = arguments.rounds
    print(json.dumps(figures, indent=2) if arguments.json else figures)


if __name__ == "__main__":
    main()
