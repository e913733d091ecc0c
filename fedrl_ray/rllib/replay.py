"""The episode replay buffers of RLlib as plain data."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from algorithms.types import Spec

from . import episodes
from .algorithm import algorithm_config
from .settings import RLlibSettings

_SLOT_BYTES, _STEP_BYTES = 200, 600
"""Of a prioritised buffer for each step that it could hold, and of any for each that it does,
observations apart; measured."""

_TREES = ("_sum_segment", "_min_segment")
"""Priorities, as binary trees of twice the capacity: their leaves say it all."""
_TABLES = ("_indices", "_tree_idx_to_sample_idx", "_last_sampled_indices")
"""Lists of tuples of integers."""


def names_of(buffer: Any) -> dict[str, str]:
    """What the random id of each of its episodes is replaced by: the number it is kept under."""
    return {} if buffer is None else {k: str(i) for k, i in buffer.episode_id_to_index.items()}


def state_of(buffer: Any) -> dict[str, Any] | None:
    """Everything of a buffer but its generator; None where there is none."""
    if buffer is None:
        return None
    state, names = dict(buffer.get_state()), names_of(buffer)
    state["episodes"] = episodes.pack(buffer.episodes, names)
    state["episode_id_to_index"] = [(names[k], i) for k, i in state["episode_id_to_index"]]
    if "_free_nodes" in state:
        state |= {name: _leaves(getattr(buffer, name)) for name in _TREES}
        state["_free_nodes"] = _runs(state["_free_nodes"])
    return state | {name: _table(state[name]) for name in _TABLES if name in state}


def load_state(buffer: Any, packed: Mapping[str, Any] | None) -> None:
    """Into a buffer that is empty."""
    if buffer is None or packed is None:
        return
    state = dict(packed)
    if "_free_nodes" in state:
        state |= {name: _grown(getattr(buffer, name), state[name]) for name in _TREES}
        state["_free_nodes"] = [i for a, b in state["_free_nodes"].tolist() for i in range(a, b)]
    state |= {n: [tuple(row) for row in state[n].tolist()] for n in _TABLES if n in state}
    restored = deque(episodes.unpack(state["episodes"]))
    buffer.set_state(state | {"episodes": []})
    buffer.episodes = restored


def bytes_per_agent(settings: RLlibSettings, spec: Spec, steps: int) -> tuple[int, int]:
    """Of a buffer after so many local steps: in memory, and in a checkpoint."""
    keys = getattr(algorithm_config(settings, spec), "replay_buffer_config", None)
    if not keys:
        return 0, 0
    capacity = int(keys["capacity"])
    slots = capacity if "Prioritized" in str(keys["type"]) else 0
    stored = min(capacity, steps) * (_STEP_BYTES + 4 * spec.obs_size)
    return slots * _SLOT_BYTES + stored, stored


def _table(rows: Any) -> Any:
    return np.array([tuple(row) for row in rows], dtype=np.int64)


def _leaves(tree: Any) -> dict[str, Any]:
    """The leaves that were given a priority."""
    values = np.array(tree.value[tree.capacity :], dtype=np.float64)
    (index,) = np.nonzero(values != tree.neutral_element)
    return {"index": index, "values": values[index]}


def _grown(tree: Any, leaves: Mapping[str, Any]) -> list[float]:
    """All nodes of a fresh tree after it was given its leaves."""
    for index, value in zip(leaves["index"].tolist(), leaves["values"].tolist(), strict=True):
        tree[index] = value
    return list(tree.value)


def _runs(numbers: Any) -> Any:
    """Where runs of consecutive numbers begin and end: [runs, 2]."""
    x = np.array(numbers, dtype=np.int64)
    first = np.flatnonzero(np.diff(x, prepend=x[:1] - 2) != 1)
    return np.stack([x[first], np.append(x[first[1:] - 1], x[-1:]) + 1], axis=1)
