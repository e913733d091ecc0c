"""An environment that RLlib's users register: CartPole with a pole of another length."""

from __future__ import annotations

from typing import Any

import gymnasium
from ray.tune.registry import register_env


def make(config: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    """Return CartPole whose pole has `half_length` metres from its hinge to its middle.

    CartPole computes `polemass_length` once, from the length that it was built with. Whoever sets
    the length alone leaves it stale, and changes half of the physics.
    """
    env = gymnasium.make("CartPole-v1")
    cart: Any = env.unwrapped
    cart.length = config["half_length"]
    cart.polemass_length = cart.masspole * cart.length
    return env


register_env("cartpole-of-length", make)
