"""A local agent hangs."""

from __future__ import annotations

import signal

from ..fault import Fault, Scene, send


class AgentHangs(Fault):
    """SIGSTOP to one actor of local agents; federation.round_timeout is 5 s here."""

    settings = ("federation.round_timeout=5",)
    loses_agents = True
    trace = "worker_lost"

    def inject(self, scene: Scene) -> None:
        send(scene.agents_pid(), signal.SIGSTOP)
