"""RLlib's episode replay buffers as plain data."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from algorithms.types import Array, Spec

from . import episodes
from .algorithm import algorithm_config
from .config_keys import value_of
from .settings import RLlibSettings

_SLOT_BYTES, _STEP_BYTES = 200, 600
"""Measured bytes of a buffer, without observations.

A prioritised buffer takes the first for each step of its capacity. Every buffer takes the second
for each step that it holds.
"""

_TABLES = ("_indices", "_tree_idx_to_sample_idx", "_last_sampled_indices")
"""State of a buffer that is a list of tuples of integers."""


def names_of(buffer: Any) -> dict[str, str]:
    """Return a name for the random id of each episode: the number under which it is stored."""
    return {} if buffer is None else {k: str(i) for k, i in buffer.episode_id_to_index.items()}


def state_of(buffer: Any) -> dict[str, Any] | None:
    """Return the state of a buffer without its generator; None if there is no buffer."""
    if buffer is None:
        return None
    state, names = dict(buffer.get_state()), names_of(buffer)
    state["episodes"] = episodes.pack(buffer.episodes, names)
    state["episode_id_to_index"] = [(names[k], i) for k, i in state["episode_id_to_index"]]
    if "_free_nodes" in state:
        state |= {name: _leaves(tree) for name, tree in _trees(buffer).items()}
        state["_free_nodes"] = _runs(state["_free_nodes"])
    return state | {name: _table(state[name]) for name in _TABLES if name in state}


def load_state(buffer: Any, packed: Mapping[str, Any] | None) -> None:
    """Restore a state from `state_of` into an empty buffer."""
    if buffer is None or packed is None:
        return
    state = dict(packed)
    if "_free_nodes" in state:
        state |= {name: _grown(tree, state[name]) for name, tree in _trees(buffer).items()}
        state["_free_nodes"] = [i for a, b in state["_free_nodes"].tolist() for i in range(a, b)]
    state |= {n: [tuple(row) for row in state[n].tolist()] for n in _TABLES if n in state}
    restored = deque(episodes.unpack(state["episodes"]))
    buffer.set_state(state | {"episodes": []})
    buffer.episodes = restored


def bytes_per_agent(settings: RLlibSettings, spec: Spec, steps: int) -> tuple[int, int]:
    """Return the bytes of a buffer after `steps` local steps: in memory, and in a checkpoint."""
    keys = value_of(algorithm_config(settings, spec), "replay_buffer_config")
    if not keys:
        return 0, 0
    capacity = int(keys["capacity"])
    slots = capacity if "Prioritized" in str(keys["type"]) else 0
    stored = min(capacity, steps) * (_STEP_BYTES + 4 * spec.obs_size)
    return slots * _SLOT_BYTES + stored, stored


def _trees(buffer: Any) -> dict[str, Any]:
    """Return the priorities: binary trees of twice the capacity, which follow from their leaves."""
    return {"_sum_segment": buffer._sum_segment, "_min_segment": buffer._min_segment}


def _table(rows: Iterable[Iterable[int]]) -> Array:
    return np.array([tuple(row) for row in rows], dtype=np.int64)


def _leaves(tree: Any) -> dict[str, Any]:
    """Return the leaves that have a priority."""
    values = np.array(tree.value[tree.capacity :], dtype=np.float64)
    (index,) = np.nonzero(values != tree.neutral_element)
    return {"index": index, "values": values[index]}


def _grown(tree: Any, leaves: Mapping[str, Any]) -> list[float]:
    """Return all nodes of a fresh tree after setting its leaves."""
    for index, value in zip(leaves["index"].tolist(), leaves["values"].tolist(), strict=True):
        tree[index] = value
    return list(tree.value)


def _runs(numbers: Iterable[int]) -> Array:
    """Return the beginnings and ends of runs of consecutive numbers: [runs, 2]."""
    x = np.array(list(numbers), dtype=np.int64)
    first = np.flatnonzero(np.diff(x, prepend=x[:1] - 2) != 1)
    return np.stack([x[first], np.append(x[first[1:] - 1], x[-1:]) + 1], axis=1)
