"""A local agent is slow."""

from __future__ import annotations

import time

import psutil

from ..fault import Fault, Scene, stopped

SECONDS, STOPPED, RUNNING = 4.0, 0.3, 0.1


class AgentIsSlow(Fault):
    """For 4 s one actor of local agents gets a quarter of its time: no failure is to be counted."""

    def inject(self, scene: Scene) -> None:
        ends, pid = time.monotonic() + SECONDS, scene.agents_pid()
        while time.monotonic() < ends and psutil.pid_exists(pid):  # a short run may be over before
            with stopped(pid):
                time.sleep(STOPPED)
            time.sleep(RUNNING)

    def conclude(self, scene: Scene) -> list[str]:
        lost = scene.observer.events["worker_lost"]
        return [f"{lost} failures were counted, though the agent was only slow"] if lost else []
