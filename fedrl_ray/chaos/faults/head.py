"""The head of the cluster dies."""

from __future__ import annotations

import time

from ..fault import Fault, Scene, start_again
from ..leftovers import AGENTS
from ..local_cluster import GCS_SECONDS, LocalCluster

SECONDS = 30.0 + GCS_SECONDS


class HeadKilled(Fault):
    """SIGKILL to every process of the head node; on a new cluster the same command is given again.

    The program, which was on that node's address, ends by itself once the head does not answer.
    """

    trace = "resumed"

    def inject(self, scene: Scene) -> None:
        scene.cluster.kill(scene.cluster.nodes[0])

    def repair(self, scene: Scene) -> list[str]:
        broken = []
        if not scene.program.ends_within(SECONDS):
            broken.append(f"the program did not end within {SECONDS:g} s of the head's death")
            scene.program.kill()
        if not _agents_end(scene.cluster):
            broken.append(f"agents outlived the head by {SECONDS:g} s")
        scene.cluster.kill_all()
        scene.cluster.start()
        scene.program.environment.update(scene.cluster.environment)
        return broken + start_again(scene, within=1.0)


def _agents_end(cluster: LocalCluster) -> bool:
    """Whether what is left of a cluster ends its agents by itself."""
    deadline = time.monotonic() + SECONDS
    while (alive := cluster.processes(AGENTS)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not alive
