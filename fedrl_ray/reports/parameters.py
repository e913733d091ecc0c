"""Physical parameters of a run's agents, found without running a user's code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from algorithms.types import Array

from ..common.errors import UserError
from ..config import plugins
from ..vector_envs import sites
from .runs import RunData

_USERS_OWN = "gymnasium"
"""Family of environments whose code is not part of this project."""


def agent_parameters(run: RunData) -> dict[str, Array]:
    """Return the parameters in which the agents differ, [K] each; empty if they are unknown."""
    k = run.flat["federation.num_agents"]
    if run.evaluations.where == "agents":
        logged = {n: v for n, v in run.evaluations.dynamics.items() if n != sites.ENVIRONMENT}
        drawn = {n: np.array(v, dtype=np.float64) for n, v in logged.items()}
    else:
        drawn = _drawn(run, k)
    return {n: v for n, v in drawn.items() if v.shape == (k,) and len(np.unique(v)) > 1}


def agent_sites(run: RunData) -> tuple[str, ...]:
    """Return the names of the agents' sites, [K]; empty if the agents do not differ by category."""
    listed = run.config["environment"].get("agents")
    if not isinstance(listed, Mapping | list):
        return ()
    return tuple(map(str, sites.agent_sites(listed)))


def _drawn(run: RunData, k: int) -> dict[str, Array]:
    section: Mapping[str, Any] = run.config["environment"]
    if section["name"] == _USERS_OWN:
        return _listed(section.get("perturb"))
    if not run.training.agents:  # no log confirms the number of agents
        return {}
    keys = {key: value for key, value in section.items() if key != "name"}
    try:
        cls = plugins.load("environments", section["name"])
        family = cls(cls.Config(**keys))
        drawn: dict[str, Array] = family.draw(
            family.config.perturb, seed=run.seed, agent_ids=range(k)
        )
    except (UserError, ValidationError, ImportError, TypeError):
        return {}  # another version wrote it, or its packages are not installed here
    return drawn


def _listed(perturb: Any) -> dict[str, Array]:
    """Return the parameters whose values the experiment lists, one per agent."""
    pairs = perturb.items() if isinstance(perturb, Mapping) else ()
    return {n: np.array(v, dtype=np.float64) for n, v in pairs if isinstance(v, list)}
