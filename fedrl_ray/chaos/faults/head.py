"""The fault `head`: the head of the cluster dies."""

from __future__ import annotations

import time

from ..fault import Fault, Scene, start_again
from ..leftovers import AGENTS
from ..local_cluster import GCS_SECONDS, LocalCluster

SECONDS = 30.0 + GCS_SECONDS
"""Seconds in which the program and the workers must end after the head's death."""


class HeadKilled(Fault):
    """Kill every process of the head node, then give the same command on a new cluster.

    The program, which joined the cluster at the head's address, must end by itself.
    """

    trace = "resumed"

    def inject(self, scene: Scene) -> None:
        """Kill the head node."""
        scene.cluster.kill(scene.cluster.nodes[0])

    def repair(self, scene: Scene) -> list[str]:
        """Check that the program and the workers end, start a new cluster, and train again."""
        broken = []
        if not scene.program.ends_within(SECONDS):
            broken.append(f"the program did not end within {SECONDS:g} s of the head's death")
            scene.program.kill()
        if not _workers_end(scene.cluster):
            broken.append(f"workers outlived the head by {SECONDS:g} s")
        scene.cluster.kill_all()
        scene.cluster.start()
        scene.program.environment.update(scene.cluster.environment)
        return broken + start_again(scene, within=1.0)


def _workers_end(cluster: LocalCluster) -> bool:
    """Return True if the workers end by themselves within `SECONDS`."""
    deadline = time.monotonic() + SECONDS
    while (alive := cluster.processes(AGENTS)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not alive
