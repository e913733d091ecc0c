"""Environments registered with RLlib or Tune by `ray.tune.register_env(name, creator)`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


class EnvConfig(dict[str, Any]):
    """Argument of a creator: `environment.kwargs`, with the attributes of RLlib's EnvContext."""

    worker_index = vector_index = num_workers = 0
    remote = False


def registered_creator(name: str) -> Callable[..., Any] | None:
    """Return a function from keyword arguments to the environment; None if nobody registered it.

    Ray makes names that the driver registered known to its actors. Importing Tune takes seconds,
    so the registry is not asked if nobody can have registered anything.
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
