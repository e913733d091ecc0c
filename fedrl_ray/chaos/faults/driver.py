"""The driver's process dies."""

from __future__ import annotations

import signal

from ...common.errors import RunError
from ..fault import Fault, Scene, send
from ..leftovers import DRIVER


class DriverKilled(Fault):
    """SIGKILL to the actor that holds the global parameters; its agents go with it."""

    trace = "driver_died"

    def inject(self, scene: Scene) -> None:
        found = scene.cluster.processes(DRIVER)
        if len(found) != 1:
            raise RunError(f"there must be one driver on the cluster, found {len(found)}")
        send(found[0], signal.SIGKILL)
