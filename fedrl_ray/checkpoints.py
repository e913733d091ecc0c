"""Checkpoints: a folder per round, safetensors and a JSON manifest, written aside then renamed.

The driver writes `server.safetensors` and `manifest.json`; every host writes its own shard. The
manifest names all files with sizes and sha256, and carries its own, so a torn or edited
checkpoint is refused.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from algorithms import prefixes
from algorithms.types import ServerState

from . import digests
from .array_files import write_arrays
from .errors import UserError
from .messages import Shard

FORMAT = "fedrl-ray checkpoint 1"
_SERVER, _MANIFEST = "server.safetensors", "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a checkpoint says of itself. `progress` is what the driver counts."""

    fingerprint: str
    identity: dict[str, Any]
    profile: dict[str, Any]
    round: int
    digest: str
    server_sha256: str
    shards: tuple[Shard, ...]
    progress: dict[str, float]

    @property
    def agent_files(self) -> dict[int, str]:
        """The shard of each agent."""
        return {agent: shard.file for shard in self.shards for agent in shard.agent_ids}

    @property
    def state_digest(self) -> str:
        """sha256 over all agents' states, in the order of their ids: packing does not show."""
        by_agent = {a: d for s in self.shards for a, d in zip(s.agent_ids, s.digests, strict=True)}
        return digests.of_texts(by_agent[agent] for agent in sorted(by_agent))


def path_of(folder: Path, round_number: int) -> Path:
    """Where the checkpoint of a round lies."""
    return folder / f"round_{round_number:08d}"


def staging(folder: Path, round_number: int) -> Path:
    """A fresh folder to write a checkpoint into before it takes its name."""
    aside = folder / f".round_{round_number:08d}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    return aside


def write_server(aside: Path, server: ServerState) -> str:
    """Write the server's state; its sha256."""
    path = aside / _SERVER
    write_arrays(path, prefixes.join({"shared": server.shared, "memory": server.memory}))
    return digests.of_file(path)


def commit(folder: Path, aside: Path, manifest: Manifest) -> Path:
    """Write the manifest and give the checkpoint its name; one of the same round gives way."""
    body = asdict(manifest)
    text = _canonical(body)
    document = {"format": FORMAT, "sha256": digests.of_texts([text]), "manifest": body}
    (aside / _MANIFEST).write_text(json.dumps(document, indent=1))
    for path in aside.iterdir():
        _sync(path)
    final, old = path_of(folder, manifest.round), folder / f".round_{manifest.round:08d}.old"
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    aside.rename(final)
    _sync(folder)
    shutil.rmtree(old, ignore_errors=True)
    return final


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints."""
    for path in existing(folder)[:-keep]:
        shutil.rmtree(path, ignore_errors=True)


def existing(folder: Path) -> list[Path]:
    """Committed checkpoints, oldest first."""
    return sorted(p for p in folder.glob("round_" + 8 * "[0-9]") if p.is_dir())


def verify(path: Path) -> Manifest:
    """The manifest of a checkpoint whose every file is as it was written.

    Raises UserError with the reason: torn, edited, or not ours.
    """
    manifest = read_manifest(path)
    expected = {_SERVER: manifest.server_sha256} | {s.file: s.sha256 for s in manifest.shards}
    for name, sha256 in expected.items():
        file = path / name
        if Path(name).name != name:
            raise UserError(f"{path}: the manifest names a file outside the checkpoint: {name!r}")
        if not file.is_file():
            raise UserError(f"{path}: torn checkpoint, {name} is missing")
        if digests.of_file(file) != sha256:
            raise UserError(f"{path}: {name} is not what was written (sha256 differs)")
    return manifest


def read_manifest(path: Path) -> Manifest:
    """The manifest alone, its own sha256 checked. Raises UserError."""
    try:
        document = json.loads((path / _MANIFEST).read_text())
        kind, sha256, body = document["format"], document["sha256"], document["manifest"]
    except FileNotFoundError:
        raise UserError(f"{path}: not a checkpoint, {_MANIFEST} is missing") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{path}: {_MANIFEST} does not read: {error}") from None
    if kind != FORMAT:
        raise UserError(f"{path}: format must be {FORMAT!r}, got {kind!r}")
    if digests.of_texts([_canonical(body)]) != sha256:
        raise UserError(f"{path}: {_MANIFEST} was edited (its sha256 differs)")
    shards = tuple(
        Shard(**(s | {"agent_ids": tuple(s["agent_ids"]), "digests": tuple(s["digests"])}))
        for s in body["shards"]
    )
    return Manifest(**(body | {"shards": shards}))


def read_server(path: Path, manifest: Manifest) -> ServerState:
    """The server's state of a verified checkpoint."""
    named = load_file(path / _SERVER)
    return ServerState(
        round=manifest.round,
        shared=prefixes.select(named, "shared"),
        memory=prefixes.select(named, "memory"),
    )


def _canonical(body: Any) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def _sync(path: Path) -> None:
    """Reach the disk before the rename does: a power cut must not leave an empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
