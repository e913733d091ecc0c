"""The fault `driver`: the driver dies."""

from __future__ import annotations

import signal

from ...common.errors import RunError
from ..fault import Fault, Scene, send
from ..leftovers import DRIVER


class DriverKilled(Fault):
    """Kill the driver (SIGKILL), which holds the global parameters; its workers end with it."""

    trace = "driver_died"

    def inject(self, scene: Scene) -> None:
        """Kill the driver."""
        found = scene.cluster.processes(DRIVER)
        if len(found) != 1:
            raise RunError(f"there must be one driver on the cluster; found {len(found)}")
        send(found[0], signal.SIGKILL)
