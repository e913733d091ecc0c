"""A vector environment over N single environments, for families without vector physics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Protocol, TypeVar

import numpy as np

from algorithms.types import AgentState, Array, Dynamics, Spec

from .data_faults import DataError
from .episode_seeds import EpisodeSeeds
from .episodes import EpisodicVectorEnv
from .threads import StepThreads

E = TypeVar("E")


class ScalarEnv(Protocol):
    """A single environment with Gymnasium's methods."""

    def reset(self, *, seed: int) -> tuple[Any, Any]:
        """Start an episode from a seed and return observation and info."""

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, Any]:
        """Take one step and return Gymnasium's five values."""

    def close(self) -> None:
        """Release the resources of the environment."""


class SyncVectorEnv(EpisodicVectorEnv):
    """N unwrapped environments, stepped one by one: each row is exactly Gymnasium's environment.

    state_names: the attributes that `step` reads and writes. Resets are seeded, so a generator
    needs no saving unless a step draws from it. threads: above 1 only if the environments share
    nothing that they write to.
    """

    def __init__(
        self,
        spec: Spec,
        envs: Sequence[ScalarEnv],
        seeds: EpisodeSeeds,
        *,
        retire: bool,
        state_names: Sequence[str] = ("state",),
        threads: int = 1,
    ) -> None:
        super().__init__(spec, seeds, retire=retire)
        self.envs, self._state_names = list(envs), tuple(state_names)
        """The environments, one per row."""
        self._threads = StepThreads(threads)
        self._closed = False
        self.start()

    def advance(self, action: Array) -> tuple[Array, Array, Array, Array]:
        """Step every live row; each error is attributed to its agent."""
        n = len(self.envs)
        obs, reward = self._obs.copy(), np.zeros(n)
        terminated, truncated = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)

        def step(i: int) -> None:
            try:
                obs[i], reward[i], terminated[i], truncated[i], _ = self.envs[i].step(action[i])
            except DataError as error:
                raise self.fault(i, str(error)) from None
            except BaseException as error:
                self.seeds.attribute_error(error, i)
                raise

        self._threads.each(step, np.flatnonzero(self.alive).tolist())
        return obs, reward, terminated, truncated

    def reset_row(self, row: int, seed: int) -> Array:
        """Reset one environment from a seed and return its first observation: [S]."""
        try:
            return np.asarray(self.envs[row].reset(seed=seed)[0], dtype=np.float32)
        except DataError as error:
            raise self.fault(row, f"at reset: {error}") from None
        except BaseException as error:
            self.seeds.attribute_error(error, row)
            raise

    def physics_state(self, row: int) -> AgentState:
        """Return copies of the attributes in `state_names`."""
        # Gymnasium's classes have no common method that returns their state
        return {name: np.array(getattr(self.envs[row], name)) for name in self._state_names}

    def load_physics_state(self, row: int, state: AgentState) -> None:
        """Set the attributes in `state_names`."""
        for name in self._state_names:
            setattr(self.envs[row], name, np.array(state[name]))

    def close(self) -> None:
        """Close every environment once, even if one of them raises."""
        if self._closed:
            return
        self._closed = True
        with ExitStack() as closing:
            closing.callback(self._threads.close)
            for env in self.envs:
                closing.callback(env.close)


def with_attributes(
    create: Callable[[], E], attributes: Mapping[str, str], dynamics: Dynamics
) -> list[E]:
    """Return one environment per row of `dynamics`, with its physical parameters set.

    attributes: the name of the attribute that holds each parameter. Values are Python floats,
    because numpy's floats would widen a float32 state.
    """
    envs = [create() for _ in next(iter(dynamics.values()))]
    for parameter, attribute in attributes.items():
        for env, value in zip(envs, dynamics[parameter], strict=True):
            setattr(env, attribute, float(value))
    return envs
