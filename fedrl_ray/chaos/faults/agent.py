"""A local agent's process dies."""

from __future__ import annotations

import signal

from ..fault import Fault, Scene, send


class AgentKilled(Fault):
    """SIGKILL to one actor of local agents, as the kernel does when memory runs out."""

    loses_agents = True
    trace = "worker_lost"

    def inject(self, scene: Scene) -> None:
        send(scene.agents_pid(), signal.SIGKILL)
