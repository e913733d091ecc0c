"""The manifest of a checkpoint: a JSON file that names all other files with sizes and sha256.

A manifest also carries its own sha256, so a torn or edited checkpoint is refused.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from ..common.errors import CheckpointError
from ..common.validation import first_violation
from . import digests, locations
from .agent_shards import STRICT, Shard
from .locations import Location

FORMAT = "fedrl-ray checkpoint 1"
MANIFEST = "manifest.json"
ROUND_DIGITS = 8
"""Digits of the round in the name of a checkpoint's folder."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of a manifest. `progress` holds the driver's counters."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    fingerprint: str
    identity: dict[str, Any]
    profile: dict[str, Any]
    round: Annotated[int, Field(ge=0, lt=10**ROUND_DIGITS)]
    digest: str
    server_sha256: str
    shards: tuple[Shard, ...]
    progress: dict[str, float]

    @property
    def agent_files(self) -> dict[int, str]:
        """The name of the shard that holds each agent."""
        return {agent: shard.file for shard in self.shards for agent in shard.agent_ids}

    @property
    def state_digest(self) -> str:
        """The sha256 over all agents' states in the order of their ids, for any packing."""
        by_agent = {a: d for s in self.shards for a, d in zip(s.agent_ids, s.digests, strict=True)}
        return digests.of_texts(by_agent[agent] for agent in sorted(by_agent))


_SCHEMA = TypeAdapter(Manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, with its own sha256, into a checkpoint's folder."""
    body = asdict(manifest)
    text = _canonical(body)
    document = {"format": FORMAT, "sha256": digests.of_texts([text]), "manifest": body}
    (folder / MANIFEST).write_text(json.dumps(document, indent=1))


def read_manifest(path: Location) -> Manifest:
    """Return the manifest of a checkpoint, after checking its own sha256 but no other file.

    Raises CheckpointError: the manifest is missing, torn, edited or of another format.
    """
    try:
        with locations.reading(path, [MANIFEST]) as folder:
            document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        kind, sha256, body = document["format"], document["sha256"], document["manifest"]
    except FileNotFoundError:
        raise CheckpointError(f"{path}: not a checkpoint, {MANIFEST} is missing") from None
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise CheckpointError(f"{path}: {MANIFEST} cannot be read: {error}") from None
    if kind != FORMAT:
        raise CheckpointError(f"{path}: format must be {FORMAT!r}; got {kind!r}")
    if digests.of_texts([_canonical(body)]) != sha256:
        raise CheckpointError(f"{path}: {MANIFEST} was edited (its sha256 differs)")
    return _checked(path, body)


def _checked(path: Location, body: object) -> Manifest:
    """Return the manifest of a signed body. Raises CheckpointError: a type or a count is wrong."""
    try:
        manifest = _SCHEMA.validate_json(_canonical(body))
    except ValidationError as error:
        raise CheckpointError(f"{path}: {MANIFEST}: {first_violation(error)}") from None
    agents = [agent for shard in manifest.shards for agent in shard.agent_ids]
    counted = all(len(s.agent_ids) == len(s.digests) for s in manifest.shards)
    if not counted or len(set(agents)) < len(agents):
        raise CheckpointError(
            f"{path}: {MANIFEST}: shards must name every agent once, with its digest"
        )
    if not {"agent_steps", "seconds"} <= manifest.progress.keys():
        raise CheckpointError(f"{path}: {MANIFEST}: progress must hold agent_steps and seconds")
    return manifest


def _canonical(body: object) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"))
