"""A machine of the cluster dies."""

from __future__ import annotations

from ...common.errors import RunError
from ..fault import Fault, Scene


class NodeKilled(Fault):
    """SIGKILL to every process of a node that hosts agents; nobody puts another in its place."""

    loses_agents = True
    trace = "worker_lost"

    def inject(self, scene: Scene) -> None:
        for host in range(len(scene.observer.workers)):
            node = scene.cluster.node_of(scene.agents_pid(host))
            if node is not None and node is not scene.cluster.nodes[0]:
                scene.cluster.kill(node)
                return
        raise RunError(
            "no node but the head's hosts agents; more nodes (--nodes), or fewer agents in an "
            "actor (--set federation.agents_per_actor=1)"
        )
