"""Rules of a resume: experiment, parameters and execution profile must be the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from algorithms.types import Params

from ..agents.execution_profile import differences
from ..common.errors import UserError
from ..config.schema import Experiment
from ..storage.locations import Location
from ..storage.manifests import Manifest


def require_same_experiment(path: Location, manifest: Manifest, experiment: Experiment) -> None:
    """Raise UserError if a checkpoint belongs to another experiment; name the keys that differ."""
    if manifest.fingerprint != experiment.fingerprint():
        keys = ", ".join(changed_keys(experiment.identity(), manifest.identity)) or "none"
        raise UserError(f"{path}: belongs to another experiment; these keys differ: {keys}")
    k = experiment.federation.num_agents
    if manifest.agent_files.keys() != set(range(k)):
        raise UserError(f"{path}: must hold the states of all {k} agents")


def require_fits(path: Location, shared: Params, expected: Params) -> None:
    """Raise UserError if parameters do not fit the experiment's networks, or are not finite.

    They fit if names, types and shapes are those of `expected`.
    """
    if shared.keys() != expected.keys():
        names = ", ".join(sorted(shared.keys() ^ expected.keys()))
        raise UserError(f"{path}: holds parameters of other networks: {names}")
    for name, array in shared.items():
        own, asked = (array.dtype, array.shape), (expected[name].dtype, expected[name].shape)
        if own != asked:
            raise UserError(f"{path}: {name} must be {asked[0]} {asked[1]}; got {own[0]} {own[1]}")
        if not np.isfinite(array).all():
            raise UserError(f"{path}: {name} holds numbers that are not finite")


def require_same_run(directory: Location, here: Experiment, stored: Experiment) -> None:
    """Raise UserError if a run directory holds another experiment; name the keys that differ."""
    keys = changed_keys(here.identity(), stored.identity())
    if keys:
        raise UserError(
            f"--output {directory} already holds another experiment; keys that differ: "
            + ", ".join(keys)
        )


def require_same_profile(path: Location, manifest: Manifest, profile: dict[str, Any]) -> None:
    """Raise UserError if a checkpoint was written under another execution profile (law 1)."""
    changed = differences(profile, manifest.profile)
    if changed:
        raise UserError(
            f"{path}: written under another execution profile, so the same bits cannot be "
            f"promised ({'; '.join(changed)}); use --any-profile to resume all the same"
        )


def changed_keys(here: Any, there: Any, prefix: str = "") -> list[str]:
    """Return the dotted keys at which two pieces of plain data differ."""
    if not (isinstance(here, dict) and isinstance(there, dict)):
        return [] if here == there else [prefix]
    return [
        key
        for name in sorted(here.keys() | there.keys())
        for key in changed_keys(
            here.get(name), there.get(name), f"{prefix}.{name}" if prefix else name
        )
    ]
