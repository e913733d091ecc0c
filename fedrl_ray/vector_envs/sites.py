"""Environments that differ by category: a patient, a site, a map file, a firmware."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from algorithms.types import Array

ENVIRONMENT = "environment"
"""Column of `Dynamics` that holds sites, beside the columns of physical parameters."""
_LONGEST = 40
"""Characters of the longest name that is made from arguments."""


@dataclass(frozen=True)
class Site:
    """Constructor arguments of one environment, under the name that reports use."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def agent_sites(
    agents: Sequence[Mapping[str, Any]] | Mapping[str, Mapping[str, Any]] | None,
) -> tuple[Site, ...]:
    """Return the sites of `environment.agents`, by agent; empty if all share their arguments."""
    if agents is None:
        return ()
    if isinstance(agents, Mapping):
        return tuple(Site(name, own) for name, own in agents.items())
    names = [_name(i, own) for i, own in enumerate(agents)]
    for i, own in enumerate(agents):  # {site: 1} and {site: "1"}
        if any(n == names[i] and other != own for n, other in zip(names[:i], agents, strict=False)):
            names[i] = f"{names[i]} (agent {i})"
    return tuple(map(Site, names, agents))


def distinct(sites: Sequence[Site]) -> list[Site]:
    """Return the sites whose names or arguments differ, in their order."""
    return [site for i, site in enumerate(sites) if site not in sites[:i]]


def column(sites: Sequence[Site]) -> Array:
    """Return sites as one column of `Dynamics`: [M] objects."""
    held = np.empty(len(sites), dtype=object)
    held[:] = sites
    return held


def _name(agent: int, arguments: Mapping[str, Any]) -> str:
    """Return `north` for {site: north}, and `site=north, firmware=2` for several arguments."""
    if len(arguments) == 1:
        text = _text(next(iter(arguments.values())))
    else:
        text = ", ".join(f"{name}={_text(value)}" for name, value in arguments.items())
    return text if text and len(text) <= _LONGEST else f"agent {agent}"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and math.isfinite(value) else str(value)
