"""RLlib's episodes as plain data: unfinished ones of an env runner, and those of a replay buffer.

Times and infos are omitted, and numbers replace the random ids, so that two equal runs have equal
states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import Space
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from algorithms.types import Array

Spaces = tuple[Space[Any] | None, Space[Any] | None]


def pack(episodes: Sequence[SingleAgentEpisode], names: Mapping[str, str]) -> dict[str, Any]:
    """Return episodes as few arrays, each the concatenation of one column over all episodes.

    names: the name that replaces each id.
    """
    columns: dict[str, Callable[[SingleAgentEpisode], Any]] = {
        "observations": lambda e: e.observations.data,
        "actions": lambda e: e.actions.data,
        "rewards": lambda e: e.rewards.data,
    }
    extra = dict.fromkeys(key for e in episodes for key in e.extra_model_outputs)
    for key in extra:
        columns[f"extra.{key}"] = lambda e, key=key: (  # type: ignore[misc]
            e.extra_model_outputs[key].data if key in e.extra_model_outputs else []
        )
    return {
        "names": [names[e.id_] for e in episodes],
        "marks": np.array([_marks(e) for e in episodes], dtype=np.int64).reshape(-1, 5),
        "columns": {name: _end_to_end([of(e) for e in episodes]) for name, of in columns.items()},
    }


def unpack(packed: Mapping[str, Any], spaces: Spaces = (None, None)) -> list[SingleAgentEpisode]:
    """Return the episodes that `pack` received, under their new names."""
    columns = {name: _apart(*column) for name, column in packed["columns"].items()}
    return [
        _episode(name, marks, {key: column[i] for key, column in columns.items()}, spaces)
        for i, (name, marks) in enumerate(
            zip(packed["names"], packed["marks"].tolist(), strict=True)
        )
    ]


def episodes_of(runner: Any, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the unfinished episodes of an env runner, and the next input of its module."""
    ongoing = [e for e in runner._ongoing_episodes if e is not None]
    own = {e.id_: names.get(e.id_, f"new-{i}") for i, e in enumerate(ongoing)}
    return {"under_way": pack(ongoing, own), "to_module": runner._cached_to_module}


_ROWS = "memorized_map_structure"
"""Key under which RLlib's connectors share the episode of each row of the module's input."""


def load_episodes(runner: Any, state: Mapping[str, Any]) -> None:
    """Restore a state from `episodes_of` into an env runner that has not sampled yet."""
    ongoing = unpack(
        state["under_way"], (runner.env.single_observation_space, runner.env.single_action_space)
    )
    if not ongoing:
        return  # the runner had not sampled yet when the state was saved
    runner._ongoing_episodes = ongoing
    runner._cached_to_module = state["to_module"]
    runner._shared_data = {_ROWS: [episode.id_ for episode in ongoing]}
    runner._needs_initial_reset = False


def _marks(e: SingleAgentEpisode) -> list[int]:
    return [e.t_started, e.observations.lookback, e.is_terminated, e.is_truncated, e.is_numpy]


def _end_to_end(parts: Sequence[Any]) -> tuple[list[int], Array]:
    """Return lengths and concatenated rows; empty parts do not affect the type."""
    filled = [np.asarray(part) for part in parts if len(part)]
    return [len(part) for part in parts], np.concatenate(filled) if filled else np.empty(0)


def _apart(lengths: Sequence[int], rows: Array) -> list[list[Any]]:
    ends = np.cumsum(lengths).tolist()
    return [list(rows[end - n : end]) for end, n in zip(ends, lengths, strict=True)]


def _episode(
    name: str, marks: Sequence[int], columns: Mapping[str, list[Any]], spaces: Spaces
) -> SingleAgentEpisode:
    t_started, lookback, terminated, truncated, is_numpy = marks
    prefix = "extra."
    episode = SingleAgentEpisode(
        id_=name,
        observations=columns["observations"],
        actions=columns["actions"],
        rewards=columns["rewards"],
        extra_model_outputs={
            key[len(prefix) :]: data
            for key, data in columns.items()
            if key.startswith(prefix) and data
        },
        observation_space=spaces[0],
        action_space=spaces[1],
        terminated=bool(terminated),
        truncated=bool(truncated),
        t_started=t_started,
        len_lookback_buffer=lookback,
    )
    return episode.to_numpy() if is_numpy else episode
