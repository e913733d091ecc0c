"""Leftovers of a finished run on a cluster: actors, placement groups and objects.

`RAY_ADDRESS=... python -m fedrl_ray.chaos.leftovers SECONDS` waits up to SECONDS for them to go. It
is a process of its own because it may die with the cluster's head.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from ..common.errors import RunError
from ..common.modules import command_of

PATIENCE_SECONDS = 60.0
"""Seconds to wait for leftovers to go: Ray ends the actors of a killed program late."""
AGENTS, DRIVER = "ray::RayWorker", "ray::DriverActor"
"""Titles that Ray gives the processes of our actors."""


def take(environment: dict[str, str]) -> dict[str, int]:
    """Count the leftovers, once they are gone or after `PATIENCE_SECONDS`.

    Raise RunError if the cluster does not answer.
    """
    command = [*command_of(__name__), str(PATIENCE_SECONDS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunError(f"the local cluster does not answer: {done.stderr.strip()[-300:]}")
    left: dict[str, int] | None = json.loads(done.stdout.splitlines()[-1])
    if left is None:
        raise RunError(f"a node of the local cluster has not answered for {PATIENCE_SECONDS:g} s")
    return left


def _count(state: Any) -> dict[str, int] | None:
    """Count the leftovers; None as long as Ray lists a dead node as alive."""
    from grpc import RpcError
    from ray._private import internal_api

    stats_of: Any = internal_api.node_stats
    nodes = [node for node in state.node_table() if node["Alive"]]
    try:
        stats = [stats_of(n["NodeManagerAddress"], n["NodeManagerPort"], False) for n in nodes]
    except RpcError:
        return None
    groups = state.placement_group_table().values()
    return {
        "actors": sum(actor["State"] != "DEAD" for actor in state.actor_table(None).values()),
        "placement groups": sum(group["state"] != "REMOVED" for group in groups),
        "objects": sum(s.store_stats.num_local_objects for s in stats),
    }


def _main(patience: float) -> None:
    from ray._private import internal_api

    connect: Any = internal_api.get_state_from_address
    state = connect(os.environ["RAY_ADDRESS"])
    deadline = time.monotonic() + patience
    while (left := _count(state)) is None or any(left.values()):
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    print(json.dumps(left))


if __name__ == "__main__":
    _main(float(sys.argv[1]))
