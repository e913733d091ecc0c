"""The check that all nodes of a cluster see the same folder, so that results outlive a node."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..common.errors import UserError
from ..storage.locations import Location
from . import cluster

ANSWER_SECONDS = 60.0
"""Seconds that a node has to answer: on a busy machine its first process starts slowly."""


def require_shared(location: Location) -> None:
    """Raise UserError if some nodes of the cluster do not see this folder.

    Their agents would write checkpoints to disks that die with the nodes. A URI is always shared.
    """
    nodes = cluster.nodes()
    if not isinstance(location, Path) or len(nodes) < 2:
        return
    folder = location.absolute()
    with mark_in(folder) as mark:
        blind = blind_nodes(nodes, mark)
    if blind:
        raise UserError(
            f"--output {location}: {len(blind)} of {len(nodes)} nodes do not see this folder "
            f"({', '.join(blind[:3])}), so a node that dies would take its agents' state with it; "
            "give a folder that all nodes mount (NFS, EFS, a persistent volume), or a URI "
            "(s3://bucket/run)"
        )


@contextlib.contextmanager
def mark_in(folder: Path) -> Any:
    """Yield a new file to look for. Remove it, and the folders made for it, afterwards.

    The file lies inside the folder, which may be a mount of its own, or beside a folder that does
    not exist yet.
    """
    place = folder if folder.is_dir() else folder.parent
    made = [p for p in (place, *place.parents) if not p.exists()]
    try:
        place.mkdir(parents=True, exist_ok=True)
        mark = place / f".fedrl-ray-{uuid.uuid4().hex}"
        mark.touch()
    except OSError as error:
        raise UserError(f"--output {folder}: {error.strerror}") from None
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


def blind_nodes(nodes: list[dict[str, Any]], mark: Path) -> list[str]:
    """Return addresses of the nodes that are alive, but do not see the file or do not answer."""
    sees: Any = ray.remote(_sees)
    calls = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        task = sees.options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        calls[task.remote(str(mark))] = node
    done, _ = ray.wait(list(calls), num_returns=len(calls), timeout=ANSWER_SECONDS)
    unseen = [node for call, node in calls.items() if call not in done or not _answer(call)]
    alive = {node["NodeID"] for node in cluster.nodes()} if unseen else set()
    return [node["NodeManagerAddress"] for node in unseen if node["NodeID"] in alive]


def _answer(call: Any) -> bool:
    try:
        return bool(ray.get(call))
    except RayError:  # the node died meanwhile
        return False


def _sees(path: str) -> bool:
    return Path(path).is_file()
