"""Nodes that an autoscaler may add to a cluster.

Ray keeps no record of them that a program can read. We read the variable FEDRL_AUTOSCALER_NODES,
which the cluster's files set, or the file that Ray's cluster launcher leaves on the head.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml

from ..common.errors import UserError

NODES = "FEDRL_AUTOSCALER_NODES"
"""Variable that lists the kinds of nodes as JSON: `[{"count": 8, "CPU": 4, "memory": 8e9}]`."""
LAUNCHER = Path("~/ray_bootstrap_config.yaml")
"""The cluster's configuration, which the launcher copies to the head."""


def addable_nodes() -> list[dict[str, float]]:
    """Return the resources of every node that an autoscaler may add besides the head.

    The list is empty without an autoscaler. Raise UserError if the variable cannot be parsed.
    """
    text = os.environ.get(NODES)
    if text:
        return _from_variable(text)
    try:
        config = yaml.safe_load(LAUNCHER.expanduser().read_text(encoding="utf-8"))
        return _from_launcher(config)
    except (OSError, ValueError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        return []  # no launcher has written here, or it writes another format than we know


def _from_variable(text: str) -> list[dict[str, float]]:
    try:
        kinds = json.loads(text)
        return [node for kind in kinds for node in _copies(dict(kind), int(kind["count"]))]
    except (ValueError, KeyError, TypeError):
        rule = 'must have the form [{"count": 8, "CPU": 4}]'
        raise UserError(f"{NODES}: {rule}; got {text[:60]!r}") from None


def _from_launcher(config: Any) -> list[dict[str, float]]:
    head, most = config["head_node_type"], int(config.get("max_workers", 0))
    kinds = [kind for name, kind in config["available_node_types"].items() if name != head]
    nodes = [
        node
        for kind in kinds
        for node in _copies(kind.get("resources", {}), min(most, int(kind.get("max_workers", 0))))
    ]
    return nodes[:most] if len(kinds) == 1 else nodes


def _copies(kind: dict[str, Any], count: int) -> list[dict[str, float]]:
    resources = {name: float(amount) for name, amount in kind.items() if name != "count"}
    return [dict(resources) for _ in range(count)]
