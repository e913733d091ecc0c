"""Random Markov decision processes with a dial for how far agents differ.

After the heterogeneous RandomMDP of Jin et al. 2022 (public code): a dense centre P0, and kernels
P_j = (1 - heterogeneity) P0 + heterogeneity U_j; all rows are U(0,1) entries, normalised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from algorithms.types import Array, Dynamics, Spec

from ..errors import UserError
from .base import EnvironmentConfig, Parameter
from .tabular import Tables, TabularFamily

_CENTRE = -1
_FIRST_UNSEEN = 100_000  # kernels of the test grid, beyond those of any agent
_SUPPORT = 0.2  # share of successors that Jin's masks keep
_REWARDS, _CENTRE_ROWS, _ROWS, _MASKS = range(4)  # streams of random numbers


class RandomMDP(TabularFamily):
    """Random kernels, rewards U(0,1) of (s,a) that all agents share, uniform first states.

    Agent k has kernel k unless `perturb.kernel` lists others, the test grid has kernels that no
    agent has, and nominal is the centre P0. `perturb.heterogeneity` varies the dial as well.
    """

    class Config(EnvironmentConfig):
        """Keys of `environment: {name: random_mdp}`."""

        num_states: Annotated[int, Field(ge=2)] = 6
        """States."""
        num_actions: Annotated[int, Field(ge=1)] = 3
        """Actions."""
        heterogeneity: Annotated[float, Field(ge=0, le=1)] = 0.5
        """0: every agent has the centre kernel; 1: kernels are independent of each other."""
        shared_support: bool = True
        """Whether all kernels reach the same successors. false keeps each successor with
        probability 0.2 (at least one), per kernel, as Jin's RandomMDP: Assumption 1 is broken."""
        kernel_seed: Annotated[int, Field(ge=0)] = 0
        """Seed of kernels and rewards, apart from the seed of the experiment."""
        max_episode_steps: Annotated[int, Field(ge=1)] = 100
        """Steps after which an episode is truncated; no state is terminal."""

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.parameters = {
            "kernel": Parameter(_CENTRE, "", _CENTRE, 2**31, "number of the kernel; -1 the centre"),
            "heterogeneity": Parameter(config.heterogeneity, "", 0.0, 1.0, "distance from centre"),
        }
        self.spec = Spec(
            obs_size=1,
            num_states=config.num_states,
            num_actions=config.num_actions,
            max_episode_steps=config.max_episode_steps,
        )
        shape = config.num_states, config.num_actions
        reward_SA1 = self._generator(_REWARDS).random(shape)[..., None]
        self.tables = Tables(
            reward_SAX=np.broadcast_to(reward_SA1, (*shape, config.num_states)),
            terminal_S=np.zeros(config.num_states, dtype=bool),
            start_S=np.full(config.num_states, 1 / config.num_states),
        )
        self._centre_SAX = self._rows(self._generator(_CENTRE_ROWS))

    def kernel(self, values: Mapping[str, float]) -> Array:
        """(1 - h) P0 + h U_j, masked and normalised where supports differ: [S, A, X]."""
        number, share = int(values["kernel"]), values["heterogeneity"]
        if number == _CENTRE:
            return self._centre_SAX
        own_SAX = self._rows(self._generator(_ROWS, number))
        blend_SAX = (1.0 - share) * self._centre_SAX + share * own_SAX
        if self.config.shared_support:
            return blend_SAX
        return _normalised(blend_SAX * self._mask(number))

    def draw(self, perturb: Mapping[str, Any], *, seed: int, agent_ids: Sequence[int]) -> Dynamics:
        """Agent k has kernel k, or the one that `perturb.kernel` lists for it: each [N]."""
        ranges = self.ranges(perturb)
        others = {name: perturb[name] for name in ranges}
        dynamics = super().draw(others, seed=seed, agent_ids=agent_ids)
        listed = perturb.get("kernel")
        numbers = agent_ids if listed is None else [listed[agent] for agent in agent_ids]
        return dynamics | {"kernel": np.array(numbers, dtype=np.float64)}

    def grid(self, perturb: Mapping[str, Any], *, size: int, seed: int) -> Dynamics:
        """`size` kernels that no agent has, the dial spread evenly over its range: each [M]."""
        low, high = self.ranges(perturb).get("heterogeneity", (self.config.heterogeneity,) * 2)
        return {
            "kernel": _FIRST_UNSEEN + np.arange(size, dtype=np.float64),
            "heterogeneity": np.linspace(low, high, size),
        }

    def ranges(self, perturb: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
        """As for every family, without `kernel`, which is a number and has no range.

        Raises UserError where `perturb.kernel` is not a list of whole numbers.
        """
        listed = perturb.get("kernel", ())
        if not isinstance(listed, tuple) or any(value != int(value) for value in listed):
            raise UserError(
                f"environment.perturb.kernel must list one whole number per agent, got {listed}"
            )
        ranges = super().ranges(perturb)
        ranges.pop("kernel", None)
        return ranges

    def _generator(self, stream: int, number: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.config.kernel_seed, stream, number])

    def _rows(self, generator: np.random.Generator) -> Array:
        shape = self.config.num_states, self.config.num_actions, self.config.num_states
        return _normalised(generator.random(shape))

    def _mask(self, number: int) -> Array:
        generator = self._generator(_MASKS, number)
        s, a = self.config.num_states, self.config.num_actions
        keep_SAX = generator.random((s, a, s)) < _SUPPORT
        forced_SA1 = generator.integers(s, size=(s, a, 1))
        np.put_along_axis(keep_SAX, forced_SA1, True, axis=-1)
        return keep_SAX


def _normalised(rows: Array) -> Array:
    return np.asarray(rows / rows.sum(-1, keepdims=True))
