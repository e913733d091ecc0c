"""Random Markov decision processes with a key for the distance between agents.

The model is the heterogeneous RandomMDP of Jin et al. 2022 (public code). Kernel j is
P_j = (1 - heterogeneity) P0 + heterogeneity U_j, with a dense centre P0. Every row of P0 and U_j
has entries from U(0,1), normalised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from algorithms.types import Array, Dynamics, Spec

from ..common.errors import UserError
from ..vector_envs.parameters import (
    TRAINING,
    EnvironmentConfig,
    EpisodeSteps,
    Parameter,
    Perturbation,
)
from ..vector_envs.tabular import Tables, TabularFamily

_CENTRE = -1
_FIRST_UNSEEN = 100_000  # first kernel of the test grid, above the kernels of all agents
_MOST_ENTRIES = 2**28  # entries of a kernel, 2 GiB
_SUPPORT = 0.2  # probability with which Jin's masks keep a successor
_REWARDS, _CENTRE_ROWS, _ROWS, _MASKS = range(4)  # streams of random numbers


class RandomMDP(TabularFamily):
    """Random kernels, with rewards U(0,1) of (s,a) that all agents share and uniform first states.

    Agent k has kernel k, unless `perturb.kernel` lists others. The test grid has kernels that no
    agent has, unless its own perturbation lists some. The nominal kernel is the centre P0.
    `perturb.heterogeneity` varies the distance from the centre.
    """

    class Config(EnvironmentConfig):
        """Keys of `environment: {name: random_mdp}`."""

        num_states: Annotated[int, Field(ge=2)] = 6
        """Number of states."""
        num_actions: Annotated[int, Field(ge=1)] = 3
        """Number of actions."""
        heterogeneity: Annotated[float, Field(ge=0, le=1)] = 0.5
        """Distance from the centre kernel. 0: all kernels are equal; 1: they are independent."""
        shared_support: bool = True
        """true: all kernels reach the same successors. false: each kernel keeps each successor with
        probability 0.2 (and at least one), as in Jin's RandomMDP, which breaks Assumption 1."""
        kernel_seed: Annotated[int, Field(ge=0)] = 0
        """Seed of kernels and rewards; the seed of the experiment does not change them."""
        max_episode_steps: EpisodeSteps = 100
        """Time limit in steps. No state is terminal, so every episode is truncated there."""

        @model_validator(mode="after")
        def _kernel_has_a_size(self) -> Self:
            entries = self.num_states**2 * self.num_actions
            if entries >= _MOST_ENTRIES:
                raise ValueError(
                    f"num_states * num_states * num_actions must stay below {_MOST_ENTRIES}, "
                    f"where a kernel takes 2 GiB; got {entries}"
                )
            return self

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.parameters = {
            "kernel": Parameter(_CENTRE, "", _CENTRE, 2**31, "kernel number; -1 is the centre"),
            "heterogeneity": Parameter(config.heterogeneity, "", 0.0, 1.0, "distance from centre"),
        }
        self.spec = Spec(
            obs_size=1,
            num_states=config.num_states,
            num_actions=config.num_actions,
            max_episode_steps=config.max_episode_steps,
        )

    @cached_property
    def tables(self) -> Tables:
        """Rewards of (s,a), no terminal state, and uniform first states."""
        states, shape = self.spec.num_states, (self.spec.num_states, self.spec.num_actions)
        reward_SA1 = self._generator(_REWARDS).random(shape)[..., None]
        return Tables(
            reward_SAX=np.broadcast_to(reward_SA1, (*shape, states)),
            terminal_S=np.zeros(states, dtype=bool),
            start_S=np.full(states, 1 / states),
        )

    @cached_property
    def _centre(self) -> Array:
        return self._rows(self._generator(_CENTRE_ROWS))

    def kernel(self, values: Mapping[str, float]) -> Array:
        """Return (1 - h) P0 + h U_j: [S, A, X]. It is masked and normalised if supports differ."""
        number, share = int(values["kernel"]), values["heterogeneity"]
        if number == _CENTRE:
            return self._centre
        own_SAX = self._rows(self._generator(_ROWS, number))
        blend_SAX = (1.0 - share) * self._centre + share * own_SAX
        if self.config.shared_support:
            return blend_SAX
        return _normalised(blend_SAX * self._mask(number))

    def draw(
        self,
        perturb: Mapping[str, Perturbation],
        *,
        seed: int,
        agent_ids: Sequence[int],
        key: str = TRAINING,
    ) -> Dynamics:
        """Return the dynamics of some agents: each [N].

        Agent k has kernel k, or the kernel that `perturb.kernel` lists for it.
        """
        others = {name: perturb[name] for name in self.ranges(perturb, key=key)}
        dynamics = super().draw(others, seed=seed, agent_ids=agent_ids, key=key)
        listed = _listed(perturb)
        numbers = [listed[agent] for agent in agent_ids] if listed else agent_ids
        return dynamics | {"kernel": np.array(numbers, dtype=np.float64)}

    def grid(
        self, perturb: Mapping[str, Perturbation], *, size: int, seed: int, key: str = TRAINING
    ) -> Dynamics:
        """Return the test grid: each [M], with heterogeneity spread evenly over its range.

        It has `size` kernels that no agent has, or exactly those that `perturb.kernel` lists.
        """
        ranges = self.ranges(perturb, key=key)
        low, high = ranges.get("heterogeneity", (self.config.heterogeneity,) * 2)
        unseen = _FIRST_UNSEEN + np.arange(size, dtype=np.float64)
        listed = dict.fromkeys(_listed(perturb))
        kernel = np.array(list(listed), dtype=np.float64) if listed else unseen
        return {"kernel": kernel, "heterogeneity": np.linspace(low, high, len(kernel))}

    def check_grid(
        self, perturb: Mapping[str, Perturbation], *, size: int, key: str = TRAINING
    ) -> None:
        """Raise UserError if the perturbation is wrong; every size is possible."""
        self.ranges(perturb, key=key)

    def ranges(
        self, perturb: Mapping[str, Perturbation], *, key: str = TRAINING
    ) -> dict[str, tuple[float, float]]:
        """Return low and high of each perturbed parameter except `kernel`, a number without range.

        Raises UserError: see `EnvFamily.ranges`, or `perturb.kernel` does not list whole numbers.
        """
        listed = perturb.get("kernel", ())
        if not isinstance(listed, tuple) or any(value != int(value) for value in listed):
            raise UserError(f"{key}.kernel: must list one whole number per agent; got {listed}")
        ranges = super().ranges(perturb, key=key)
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


def _listed(perturb: Mapping[str, Perturbation]) -> tuple[float, ...]:
    listed = perturb.get("kernel")
    return listed if isinstance(listed, tuple) else ()


def _normalised(rows: Array) -> Array:
    return np.asarray(rows / rows.sum(-1, keepdims=True))
