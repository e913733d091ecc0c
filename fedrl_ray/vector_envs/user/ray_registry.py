"""Environments registered with RLlib or Tune, `ray.tune.register_env(name, creator)`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


class EnvConfig(dict[str, Any]):
    """What a creator is called with: `environment.kwargs`, and where it runs, as RLlib's
    EnvContext says it."""

    worker_index = vector_index = num_workers = 0
    remote = False


def registered_creator(name: str) -> Callable[..., Any] | None:
    """What makes the environment from keyword arguments; None where the name is not registered.

    Names that the driver registered are known to its actors too. Importing Tune takes seconds,
    so nobody is asked where nobody can have registered anything.
    """
    if not _may_be_registered():
        return None
    from ray.tune import registry

    known: Any = registry._global_registry
    if not known.contains(registry.ENV_CREATOR, name):
        return None
    creator = known.get(registry.ENV_CREATOR, name)
    return lambda **kwargs: creator(EnvConfig(kwargs))


def _may_be_registered() -> bool:
    ray = sys.modules.get("ray")
    return "ray.tune.registry" in sys.modules or (ray is not None and ray.is_initialized())
