"""Acrobot of Gymnasium, with perturbed physics."""

from __future__ import annotations

from collections.abc import Mapping

from gymnasium.envs.classic_control.acrobot import AcrobotEnv

from algorithms.types import Dynamics, Spec

from ..vector_envs.episode_seeds import EpisodeSeeds
from ..vector_envs.family import EnvFamily
from ..vector_envs.parameters import EnvironmentConfig, Parameter
from ..vector_envs.rendering import RGB
from ..vector_envs.sync import SyncVectorEnv


class Acrobot(EnvFamily):
    """Swing a two-link arm above a bar: reward -1 per step, 500 steps at most.

    The centre of mass of a link lies at half its length, as in Gymnasium. The moment of inertia is
    1, as in Gymnasium and in Jin et al. 2022.
    """

    Config = EnvironmentConfig
    # Gymnasium integrates 0.2 s at once. A light upper link and a heavy lower one diverge: 20 kg at
    # 3 m, 10 kg at 5 m. Gymnasium then subtracts turns from the angle for ever. All corners of the
    # legal ranges are stable (tests/environments/test_stability.py).
    parameters: Mapping[str, Parameter] = {
        "link_length_1": Parameter(1.0, "m", 0.1, 5.0, "length of the upper link"),
        "link_length_2": Parameter(1.0, "m", 0.1, 5.0, "length of the lower link"),
        "link_mass_1": Parameter(1.0, "kg", 0.05, 5.0, "mass of the upper link"),
        "link_mass_2": Parameter(1.0, "kg", 0.05, 5.0, "mass of the lower link"),
    }
    spec = Spec(obs_size=6, num_actions=3, max_episode_steps=500)

    def make(self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool) -> SyncVectorEnv:
        """Return Gymnasium's environments with their parameters set."""
        envs = [_acrobot(dynamics, row) for row in range(len(seeds))]
        return SyncVectorEnv(self.spec, envs, seeds, retire=retire)

    def render_env(self, dynamics: Dynamics) -> AcrobotEnv:
        """Return Gymnasium's environment, which draws itself."""
        return _acrobot(dynamics, 0, render_mode=RGB)


def _acrobot(dynamics: Dynamics, row: int, *, render_mode: str | None = None) -> AcrobotEnv:
    env = AcrobotEnv(render_mode=render_mode)
    env.LINK_LENGTH_1 = float(dynamics["link_length_1"][row])
    env.LINK_LENGTH_2 = float(dynamics["link_length_2"][row])
    env.LINK_MASS_1 = float(dynamics["link_mass_1"][row])
    env.LINK_MASS_2 = float(dynamics["link_mass_2"][row])
    env.LINK_COM_POS_1, env.LINK_COM_POS_2 = env.LINK_LENGTH_1 / 2, env.LINK_LENGTH_2 / 2
    return env
