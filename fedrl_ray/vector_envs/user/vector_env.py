"""A vector environment over N environments of a user, resumed by their state or by replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from algorithms.types import AgentState, Array, Spec

from ..episode_seeds import EpisodeSeeds
from ..sync import SyncVectorEnv
from .adapter import UserEnv
from .closing import close_and_log

Resume = Literal["state", "replay"]
"""Way to resume: `get_state` and `set_state`, or the actions since the last seeded reset."""


@runtime_checkable
class SavesState(Protocol):
    """A user's environment that can save and restore its own state."""

    def get_state(self) -> Any:
        """Return a dict of arrays or numbers; the trial checks that it is one."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the result of `get_state`."""


class UserVectorEnv(SyncVectorEnv):
    """A vector environment whose rows are `UserEnv`s.

    on_mismatch: called if a replay leads to another observation than the saved one.
    """

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
        self._users, self._resume, self._on_mismatch = list(envs), resume, on_mismatch
        super().__init__(spec, envs, seeds, retire=retire)

    def physics_state(self, row: int) -> AgentState:
        """Return the result of the user's `get_state`, or the actions since the last reset."""
        if self._resume == "state":
            state = own_state(self._users[row])
            assert state is not None, "the trial accepted get_state"
            return state
        actions = self._users[row].taken
        return {"actions": np.array(actions) if actions else np.empty((0, *self._action_shape))}

    def load_physics_state(self, row: int, state: AgentState) -> None:
        """Call the user's `set_state`, or reset the environment and repeat the actions."""
        if self._resume == "state":
            env = self._users[row].env.unwrapped
            assert isinstance(env, SavesState), "the trial accepted set_state"
            # the user's set_state expects scalars where get_state returned scalars
            env.set_state({k: np.array(v)[()] for k, v in state.items()})
        else:
            self._replay(row, state["actions"])

    def close(self) -> None:
        """Close every environment once; a `close` that raises or hangs is logged.

        A finished run is not lost to it.
        """
        if not self._closed:
            self._closed = True
            self._threads.close()
            for env in self._users:
                close_and_log(env)

    @property
    def _action_shape(self) -> tuple[int, ...]:
        return (len(self.spec.action_low),) if self.spec.kind == "continuous" else ()

    def _replay(self, row: int, actions: Array) -> None:
        env = self._users[row]
        obs, _ = env.reset(seed=self.seeds.seed(row, int(self._episode[row])))
        for action in actions:
            obs = env.step(action)[0]
        if not np.array_equal(obs, self._obs[row], equal_nan=True):
            self._on_mismatch()


def own_state(env: UserEnv) -> AgentState | None:
    """Return the result of the environment's own `get_state` as arrays.

    Returns None if there is no `get_state` and `set_state`. Returns None too if the result is not a
    dict from names to arrays or numbers, because a checkpoint cannot hold it.
    """
    saving = env.env.unwrapped
    if not isinstance(saving, SavesState):
        return None
    state = saving.get_state()
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        return None
    if not all(isinstance(v, (np.ndarray, np.generic, int, float)) for v in state.values()):
        return None
    arrays = {name: np.array(value, order="C") for name, value in state.items()}
    return arrays if all(a.dtype.kind in "biuf" for a in arrays.values()) else None
