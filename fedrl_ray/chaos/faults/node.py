"""The fault `node`: a machine of the cluster dies."""

from __future__ import annotations

from ...common.errors import RunError
from ..fault import Fault, Scene


class NodeKilled(Fault):
    """Kill every process of a node that runs workers; no new node replaces it."""

    loses_agents = True
    trace = "worker_lost"

    def inject(self, scene: Scene) -> None:
        """Kill the first node, other than the head, that runs a worker."""
        for worker in range(len(scene.observer.workers)):
            node = scene.cluster.node_of(scene.agents_pid(worker))
            if node is not None and node is not scene.cluster.nodes[0]:
                scene.cluster.kill(node)
                return
        raise RunError(
            "only the head node runs workers; ask for more nodes (--nodes), or for fewer agents in "
            "an actor (--set federation.agents_per_actor=1)"
        )
