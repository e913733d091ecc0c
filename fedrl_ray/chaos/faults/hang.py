"""The fault `hang`: a worker hangs."""

from __future__ import annotations

import signal

from ..fault import Fault, Scene, send


class AgentHangs(Fault):
    """Stop one worker for good (SIGSTOP), with federation.round_timeout set to 5 s."""

    settings = ("federation.round_timeout=5",)
    loses_agents = True
    trace = "worker_lost"

    def inject(self, scene: Scene) -> None:
        """Stop the last worker."""
        send(scene.agents_pid(), signal.SIGSTOP)
