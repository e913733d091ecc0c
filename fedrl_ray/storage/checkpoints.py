"""Checkpoints: a folder per round, safetensors and a JSON manifest, written aside then renamed.
Behind a URI, where nothing can be renamed, the manifest is put last: without it there is none.

The driver writes `server.safetensors` and `manifest.json`; every host writes its own shard. The
manifest names all files with sizes and sha256, and carries its own, so a torn or edited
checkpoint is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from algorithms import prefixes
from algorithms.types import ServerState

from ..common.errors import CheckpointError, RunError
from ..common.validation import first_line
from . import digests, locations
from .agent_shards import STRICT, Shard
from .array_files import read_arrays, write_arrays
from .locations import L, Location

FORMAT = "fedrl-ray checkpoint 1"
_SERVER, _MANIFEST = "server.safetensors", "manifest.json"
_DIGITS = 8
"""Of the round in a checkpoint's name."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a checkpoint says of itself. `progress` is what the driver counts."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    fingerprint: str
    identity: dict[str, Any]
    profile: dict[str, Any]
    round: Annotated[int, Field(ge=0, lt=10**_DIGITS)]
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


_SCHEMA = TypeAdapter(Manifest)


def path_of(folder: L, round_number: int) -> L:
    """Where the checkpoint of a round lies."""
    return locations.child(folder, f"round_{round_number:08d}")


def staging(folder: L, round_number: int) -> L:
    """A fresh place to write a checkpoint into before it counts."""
    if not isinstance(folder, Path):
        final = path_of(folder, round_number)
        _discard(final)
        return final
    aside = folder / f".round_{round_number:08d}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    return aside


def write_server(aside: Location, server: ServerState) -> str:
    """Write the server's state; its sha256."""
    with locations.writing(aside) as folder:
        path = folder / _SERVER
        write_arrays(path, prefixes.join({"shared": server.shared, "memory": server.memory}))
        return digests.of_file(path)


def commit(folder: L, aside: L, manifest: Manifest) -> L:
    """Write the manifest, and with it the checkpoint; one of the same round gives way. Raises
    RunError where a host wrote its shard to a disk that is not this one."""
    _require_shards(aside, manifest)
    with locations.writing(aside) as files:
        _write_manifest(files, manifest)
    if isinstance(folder, Path) and isinstance(aside, Path):
        return cast(L, _rename(folder, aside, manifest))
    return aside


def carry_over(old: Location, aside: Location, agents: Collection[int]) -> list[Shard]:
    """Copy the shards of some agents from an older checkpoint into one being written."""
    shards = []
    for shard in read_manifest(old).shards:
        kept = [(a, d) for a, d in zip(shard.agent_ids, shard.digests, strict=True) if a in agents]
        if kept:
            locations.copy_file(old, aside, shard.file)
            ids, found = zip(*kept, strict=True)
            shards.append(replace(shard, agent_ids=ids, digests=found))
    return shards


def _require_shards(aside: Location, manifest: Manifest) -> None:
    there = locations.names(aside)
    for shard in manifest.shards:
        if shard.file not in there:
            raise RunError(
                f"{aside}: the shard of agents {shard.agent_ids[0]}-{shard.agent_ids[-1]} was "
                "written on another node's own disk; --output must be a folder that all nodes "
                "mount, or a URI"
            )


def _write_manifest(aside: Path, manifest: Manifest) -> None:
    body = asdict(manifest)
    text = _canonical(body)
    document = {"format": FORMAT, "sha256": digests.of_texts([text]), "manifest": body}
    (aside / _MANIFEST).write_text(json.dumps(document, indent=1))


def _rename(folder: Path, aside: Path, manifest: Manifest) -> Path:
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


def prune(folder: Location, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints."""
    for path in existing(folder)[:-keep]:
        _discard(path)


def _discard(path: Location) -> None:
    """The manifest goes first: half a checkpoint must not pass for one."""
    if not isinstance(path, Path):
        locations.remove_file(locations.child(path, _MANIFEST))
    locations.remove(path)


def existing(folder: L) -> list[L]:
    """Committed checkpoints, oldest first."""
    if isinstance(folder, Path):
        found = sorted(p for p in folder.glob("round_" + 8 * "[0-9]") if p.is_dir())
        return cast(list[L], found)
    there = [Path(name).parts for name in locations.names(folder)]
    complete = {parts[0] for parts in there if parts[1:] == (_MANIFEST,)}
    rounds = sorted(name for name in complete if re.fullmatch(r"round_\d{8}", name))
    return [locations.child(folder, name) for name in rounds]


def verify(path: Location) -> Manifest:
    """The manifest of a checkpoint whose every file is as it was written; behind a URI those of
    the agents are checked by the hosts that get them.

    Raises CheckpointError with the reason: torn, edited, or not ours.
    """
    manifest = read_manifest(path)
    expected = {_SERVER: manifest.server_sha256}
    if isinstance(path, Path):
        expected |= {s.file: s.sha256 for s in manifest.shards}
    with locations.reading(path, [_SERVER]) as folder:
        _require_as_written(path, folder, expected)
    return manifest


def _require_as_written(path: Location, folder: Path, expected: Mapping[str, str]) -> None:
    for name, sha256 in expected.items():
        file = folder / name
        if file.is_symlink():
            raise CheckpointError(f"{path}: {name} is a link, not a file of the checkpoint")
        if not file.is_file():
            raise CheckpointError(f"{path}: torn checkpoint, {name} is missing")
        if digests.of_file(file) != sha256:
            raise CheckpointError(f"{path}: {name} is not what was written (sha256 differs)")


@contextlib.contextmanager
def reading_shards(path: Location, names: Collection[str]) -> Iterator[Path]:
    """A folder with some agents' shards of a verified checkpoint, for the host that has them."""
    with locations.reading(path, names) as folder:
        if isinstance(path, str):
            shards = {s.file: s.sha256 for s in read_manifest(path).shards}
            _require_as_written(path, folder, {name: shards[name] for name in names})
        yield folder


def read_manifest(path: Location) -> Manifest:
    """The manifest alone, its own sha256 checked. Raises CheckpointError."""
    try:
        with locations.reading(path, [_MANIFEST]) as folder:
            document = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        kind, sha256, body = document["format"], document["sha256"], document["manifest"]
    except FileNotFoundError:
        raise CheckpointError(f"{path}: not a checkpoint, {_MANIFEST} is missing") from None
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise CheckpointError(f"{path}: {_MANIFEST} does not read: {error}") from None
    if kind != FORMAT:
        raise CheckpointError(f"{path}: format must be {FORMAT!r}, got {kind!r}")
    if digests.of_texts([_canonical(body)]) != sha256:
        raise CheckpointError(f"{path}: {_MANIFEST} was edited (its sha256 differs)")
    return _checked(path, body)


def _checked(path: Location, body: Any) -> Manifest:
    """What a signed manifest says, of the right types, each agent once. Raises UserError."""
    try:
        manifest = _SCHEMA.validate_json(_canonical(body))
    except ValidationError as error:
        raise CheckpointError(f"{path}: {_MANIFEST}: {first_line(error)}") from None
    agents = [agent for shard in manifest.shards for agent in shard.agent_ids]
    counted = all(len(s.agent_ids) == len(s.digests) for s in manifest.shards)
    if not counted or len(set(agents)) < len(agents):
        raise CheckpointError(
            f"{path}: {_MANIFEST}: shards must name every agent once, with its digest"
        )
    if not {"agent_steps", "seconds"} <= manifest.progress.keys():
        raise CheckpointError(f"{path}: {_MANIFEST}: progress must hold agent_steps and seconds")
    return manifest


def read_server(path: Location, manifest: Manifest) -> ServerState:
    """The server's state of a verified checkpoint. Raises UserError."""
    with locations.reading(path, [_SERVER]) as folder:
        named = read_arrays(folder / _SERVER)
    shared = prefixes.select(named, "shared")
    if digests.of_arrays(shared) != manifest.digest:
        raise CheckpointError(f"{path}: {_SERVER} is not of this checkpoint (its digest differs)")
    return ServerState(round=manifest.round, shared=shared, memory=prefixes.select(named, "memory"))


def _canonical(body: Any) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def _sync(path: Path) -> None:
    """Reach the disk before the rename does: a power cut must not leave an empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
