"""The episode replay buffers of RLlib as plain data."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import episodes

_TREES = ("_sum_segment", "_min_segment")
"""Priorities: lists of numbers, of which there are more than of steps."""
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
    state |= {name: np.array(state[name], dtype=np.float64) for name in _TREES if name in state}
    return state | {name: _table(state[name]) for name in _TABLES if name in state}


def load_state(buffer: Any, packed: Mapping[str, Any] | None) -> None:
    """Into a buffer that is empty."""
    if buffer is None or packed is None:
        return
    state = dict(packed)
    state |= {name: state[name].tolist() for name in _TREES if name in state}
    state |= {n: [tuple(row) for row in state[n].tolist()] for n in _TABLES if n in state}
    restored = deque(episodes.unpack(state["episodes"]))
    buffer.set_state(state | {"episodes": []})
    buffer.episodes = restored


def _table(rows: Any) -> Any:
    return np.array([tuple(row) for row in rows], dtype=np.int64)
