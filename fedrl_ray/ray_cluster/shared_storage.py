"""Whether the nodes of a cluster see the same folder: results must outlive a node."""

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
"""A node that starts its first process on a busy machine takes many seconds."""


def require_shared(location: Location) -> None:
    """On more than one node: a folder must be the same on all of them, or agents would write their
    checkpoints to disks that die with their nodes. A URI is. Raises UserError."""
    nodes = cluster.nodes()
    if not isinstance(location, Path) or len(nodes) < 2:
        return
    folder = location.absolute()
    with _mark(folder) as mark:
        blind = _blind(nodes, mark)
    if blind:
        raise UserError(
            f"--output {location}: {len(blind)} of {len(nodes)} nodes do not see this folder "
            f"({', '.join(blind[:3])}), so a node that dies would take its agents' state with it; "
            "give a folder that all nodes mount (NFS, EFS, a persistent volume), or a URI "
            "(s3://bucket/run)"
        )


@contextlib.contextmanager
def _mark(folder: Path) -> Any:
    """A file to look for, inside the folder, which may be a mount of its own; beside it where there
    is none yet. What is made for it goes again."""
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


def _blind(nodes: list[dict[str, Any]], mark: Path) -> list[str]:
    """Addresses of the nodes that do not see a file, or do not answer though they are alive."""
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
