"""The fault `agent`: a worker dies."""

from __future__ import annotations

import signal

from ..fault import Fault, Scene, send


class AgentKilled(Fault):
    """Kill one worker (SIGKILL), as the kernel does when memory runs out."""

    loses_agents = True
    trace = "worker_lost"

    def inject(self, scene: Scene) -> None:
        """Kill the last worker."""
        send(scene.agents_pid(), signal.SIGKILL)
