"""N environments of a user as one stack, resumed by their own state or by replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from algorithms.types import AgentState, Array, Spec

from ..episodes import EpisodeSeeds
from ..sync import SyncVectorEnv
from .adapter import UserEnv

Resume = Literal["state", "replay"]
"""By `get_state` and `set_state`, or by repeating the actions since the last seeded reset."""


class UserVectorEnv(SyncVectorEnv):
    """Rows are `UserEnv`s. `on_mismatch` is called where a replay met another observation."""

    def __init__(
        self,
        spec: Spec,
        envs: Sequence[UserEnv],
        seeds: EpisodeSeeds,
        *,
        retire: bool,
        resume: Resume,
        on_mismatch: Callable[[], None],
    ) -> None:
        self._resume, self._on_mismatch = resume, on_mismatch
        super().__init__(spec, envs, seeds, retire=retire)

    def physics_state(self, row: int) -> AgentState:
        """What the environment's `get_state` gives, or the actions since the last reset."""
        if self._resume == "state":
            state = own_state(self._envs[row])
            assert state is not None, "the family asked before"
            return state
        actions = self._envs[row].actions
        return {"actions": np.array(actions) if actions else np.empty((0, *self._action_shape))}

    def load_physics_state(self, row: int, state: AgentState) -> None:
        """By the environment's `set_state`, or by a reset and the same actions again."""
        if self._resume == "state":
            # 0-d arrays go back as scalars of the same type
            self._envs[row].env.unwrapped.set_state({k: np.array(v)[()] for k, v in state.items()})
        else:
            self._replay(row, state["actions"])

    @property
    def _action_shape(self) -> tuple[int, ...]:
        return (len(self.spec.action_low),) if self.spec.kind == "continuous" else ()

    def _replay(self, row: int, actions: Array) -> None:
        env = self._envs[row]
        obs, _ = env.reset(seed=self.seeds.seed(row, int(self._episode[row])))
        for action in actions:
            obs = env.step(action)[0]
        if not np.array_equal(obs, self._obs[row], equal_nan=True):
            self._on_mismatch()


def own_state(env: UserEnv) -> AgentState | None:
    """What the environment's own `get_state` gives; None where that is no dict of arrays or
    numbers by name, which is all that a checkpoint holds."""
    state: Any = env.env.unwrapped.get_state()
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        return None
    if not all(isinstance(v, (np.ndarray, np.generic, int, float)) for v in state.values()):
        return None
    arrays = {name: np.array(value, order="C") for name, value in state.items()}
    return arrays if all(a.dtype.kind in "biuf" for a in arrays.values()) else None
