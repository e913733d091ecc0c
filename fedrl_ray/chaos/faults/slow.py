"""The fault `slow`: a worker is slow."""

from __future__ import annotations

import time

import psutil

from ..fault import Fault, Scene, stopped

SECONDS, STOPPED, RUNNING = 4.0, 0.3, 0.1


class AgentIsSlow(Fault):
    """Give one worker a quarter of its time for 4 s; the run must not count that as a failure."""

    def inject(self, scene: Scene) -> None:
        """Stop and continue the last worker in turns."""
        ends, pid = time.monotonic() + SECONDS, scene.agents_pid()
        while time.monotonic() < ends and psutil.pid_exists(pid):  # a short run may end before
            with stopped(pid):
                time.sleep(STOPPED)
            time.sleep(RUNNING)

    def conclude(self, scene: Scene) -> list[str]:
        """Check that no worker was counted as lost."""
        lost = scene.observer.events["worker_lost"]
        return [f"{lost} failures were counted, although the worker was only slow"] if lost else []
