"""What must be equal for a run to be resumed."""

from __future__ import annotations

from typing import Any

from .checkpoints import Manifest
from .config import Experiment
from .errors import UserError
from .profile import differences
from .storage import Location


def require_same_experiment(path: Location, manifest: Manifest, experiment: Experiment) -> None:
    """A checkpoint of the same experiment. Raises UserError naming the keys that differ."""
    if manifest.fingerprint != experiment.fingerprint():
        keys = ", ".join(changed_keys(experiment.identity(), manifest.identity))
        raise UserError(f"{path}: of another experiment; these keys differ: {keys}")


def require_same_run(directory: Location, here: Experiment, stored: Experiment) -> None:
    """A run directory of the same experiment. Raises UserError naming the keys that differ."""
    keys = changed_keys(here.identity(), stored.identity())
    if keys:
        raise UserError(
            f"--output {directory} already holds another experiment; keys that differ: "
            + ", ".join(keys)
        )


def require_same_profile(path: Location, manifest: Manifest, profile: dict[str, Any]) -> None:
    """A checkpoint written under this execution profile (law 1). Raises UserError."""
    changed = differences(profile, manifest.profile)
    if changed:
        raise UserError(
            f"{path}: written under another execution profile, so the same bits cannot be "
            f"promised ({'; '.join(changed)}); --any-profile resumes all the same"
        )


def changed_keys(here: Any, there: Any, prefix: str = "") -> list[str]:
    """Dotted keys at which two pieces of plain data differ."""
    if not (isinstance(here, dict) and isinstance(there, dict)):
        return [] if here == there else [prefix]
    return [
        key
        for name in sorted(here.keys() | there.keys())
        for key in changed_keys(
            here.get(name), there.get(name), f"{prefix}.{name}" if prefix else name
        )
    ]
