"""The driver's part of a checkpoint: written, and checked by whoever resumes from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from algorithms.types import ServerState

from ..agents.execution_profile import differences
from ..config.schema import Experiment
from ..storage import checkpoints, digests
from ..storage.agent_shards import Shard
from ..storage.locations import Location
from ..storage.manifests import Manifest
from .resume_rules import require_same_experiment, require_same_profile


@dataclass(frozen=True, kw_only=True)
class SavedState:
    """The server's state and counters, the shard of each agent, and remarks for the log."""

    server: ServerState
    progress: dict[str, float]
    agent_files: dict[int, str]
    remarks: tuple[str, ...]


def write_saved(
    aside: Location,
    experiment: Experiment,
    profile: dict[str, Any],
    server: ServerState,
    shards: Sequence[Shard],
    progress: dict[str, float],
) -> Manifest:
    """Write the server's state into a checkpoint; return the manifest that completes it."""
    return Manifest(
        fingerprint=experiment.fingerprint(),
        identity=experiment.identity(),
        profile=profile,
        round=server.round,
        digest=digests.of_arrays(server.shared),
        server_sha256=checkpoints.write_server(aside, server),
        shards=tuple(shards),
        progress=dict(progress),
    )


def read_saved(
    path: Location, experiment: Experiment, profile: dict[str, Any], *, any_profile: bool
) -> SavedState:
    """Read the driver's part of a checkpoint.

    Raises UserError if it is torn, edited or of another experiment, or if it was written under
    another execution profile than `profile` (unless `any_profile`: then a remark says so).
    """
    manifest = checkpoints.verify(path)
    require_same_experiment(path, manifest, experiment)
    remarks: tuple[str, ...] = ()
    if not any_profile:
        require_same_profile(path, manifest, profile)
    elif changed := differences(profile, manifest.profile):
        remarks = (f"resumed under another profile: {'; '.join(changed)}",)
    k, steps = experiment.federation.num_agents, experiment.round_steps
    return SavedState(
        server=checkpoints.read_server(path, manifest, num_agents=k, round_steps=steps),
        progress=dict(manifest.progress),
        agent_files=manifest.agent_files,
        remarks=remarks,
    )
