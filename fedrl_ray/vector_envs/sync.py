"""N single environments as one stack, for families without vector physics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from algorithms.types import AgentState, Array, Dynamics, Spec

from .episodes import EpisodeSeeds, EpisodicVectorEnv
from .threads import StepThreads


class SyncVectorEnv(EpisodicVectorEnv):
    """Steps unwrapped environments one by one: each row is exactly Gymnasium's own environment.

    `state_names` are the attributes that `step` reads and writes; resets are seeded, so the
    generators need no saving unless steps draw from them. `threads` above 1 are for environments
    that share nothing but what they never write to.
    """

    def __init__(
        self,
        spec: Spec,
        envs: Sequence[Any],
        seeds: EpisodeSeeds,
        *,
        retire: bool,
        state_names: Sequence[str] = ("state",),
        threads: int = 1,
    ) -> None:
        super().__init__(spec, seeds, retire=retire)
        self._envs, self._state_names = list(envs), tuple(state_names)
        self._threads = StepThreads(threads)
        self._closed = False
        self.start()

    def advance(self, action: Array) -> tuple[Array, Array, Array, Array]:
        n = len(self._envs)
        obs, reward = self._obs.copy(), np.zeros(n)
        terminated, truncated = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)

        def step(i: int) -> None:
            try:
                obs[i], reward[i], terminated[i], truncated[i], _ = self._envs[i].step(action[i])
            except Exception as error:
                self.seeds.attribute_error(error, i)
                raise

        self._threads.each(step, np.flatnonzero(self.alive).tolist())
        return obs, reward, terminated, truncated

    def reset_row(self, row: int, seed: int) -> Array:
        try:
            return np.asarray(self._envs[row].reset(seed=seed)[0], dtype=np.float32)
        except Exception as error:
            self.seeds.attribute_error(error, row)
            raise

    def physics_state(self, row: int) -> AgentState:
        return {name: np.array(getattr(self._envs[row], name)) for name in self._state_names}

    def load_physics_state(self, row: int, state: AgentState) -> None:
        for name in self._state_names:
            setattr(self._envs[row], name, np.array(state[name]))

    def close(self) -> None:
        """Close every environment, once, whatever one of them raises."""
        if self._closed:
            return
        self._closed = True
        with ExitStack() as closing:
            closing.callback(self._threads.close)
            for env in self._envs:
                closing.callback(env.close)


def with_attributes(
    create: Callable[[], Any], attributes: Mapping[str, str], dynamics: Dynamics
) -> list[Any]:
    """One environment per row of `dynamics`; `attributes` maps a parameter to the attribute that
    holds it. Values are Python floats, as numpy's would widen a float32 state."""
    envs = [create() for _ in next(iter(dynamics.values()))]
    for parameter, attribute in attributes.items():
        for env, value in zip(envs, dynamics[parameter], strict=True):
            setattr(env, attribute, float(value))
    return envs
