"""Checkpoints: one folder per round, with safetensors files and a JSON manifest.

The driver writes `server.safetensors` and `manifest.json`; every worker writes its own shard. On a
disk the folder is written under another name and then renamed. Behind a URI nothing can be renamed,
so the manifest is uploaded last: a checkpoint without a manifest is incomplete and is ignored.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from algorithms import prefixes
from algorithms.types import Array, Params, ServerState

from ..common.errors import CheckpointError, RunError, UserError
from . import digests, locations
from .agent_shards import Shard
from .array_files import read_arrays, write_arrays
from .locations import L, Location
from .manifests import MANIFEST, ROUND_DIGITS, Manifest, read_manifest, write_manifest

_SERVER = "server.safetensors"


def path_of(folder: L, round_number: int) -> L:
    """Return the location of a round's checkpoint."""
    return locations.child(folder, _name(round_number))


def _name(round_number: int) -> str:
    return f"round_{round_number:0{ROUND_DIGITS}d}"


def staging(folder: L, round_number: int) -> L:
    """Return an empty location to write a checkpoint into, before `commit` makes it count."""
    if not isinstance(folder, Path):
        final = path_of(folder, round_number)
        _discard(final)
        return final
    aside = folder / f".{_name(round_number)}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    return aside


def write_server(aside: Location, server: ServerState) -> str:
    """Write the server's state and return the sha256 of its file."""
    with locations.writing(aside) as folder:
        path = folder / _SERVER
        parts = {
            "shared": server.shared,
            "aggregator": server.aggregator,
            "optimizer": server.optimizer,
        }
        write_arrays(path, {"clocks": server.clocks} | prefixes.join(parts))
        return digests.of_file(path)


def commit(folder: L, aside: L, manifest: Manifest) -> L:
    """Write the manifest, which completes the checkpoint, and replace one of the same round.

    Raises RunError: a worker wrote its shard to another node's own disk.
    """
    _require_shards(aside, manifest)
    with locations.writing(aside) as files:
        write_manifest(files, manifest)
    if isinstance(folder, Path) and isinstance(aside, Path):
        return cast(L, _rename(folder, aside, manifest))
    return aside


def carry_over(old: Location, aside: Location, agents: Collection[int]) -> list[Shard]:
    """Copy the shards of some agents from an older checkpoint into a new one."""
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
                "written to another node's own disk; --output must be a folder that all nodes "
                "mount, or a URI"
            )


def _rename(folder: Path, aside: Path, manifest: Manifest) -> Path:
    for path in aside.iterdir():
        _sync(path)
    final = path_of(folder, manifest.round)
    old = _set_aside(final)
    aside.rename(final)
    _sync(folder)
    shutil.rmtree(old, ignore_errors=True)
    return final


def prune(folder: Location, keep: int) -> None:
    """Remove all checkpoints except the newest `keep`."""
    for path in existing(folder)[:-keep]:
        _discard(path)
    if isinstance(folder, Path):
        for left in folder.glob(".round_*.old"):  # by a program that was killed while it removed it
            shutil.rmtree(left, ignore_errors=True)


def drop_torn(folder: Path) -> None:
    """Remove the checkpoints whose files are not as they were written.

    A copy of a run that is training may hold one: its rest was deleted while it was copied.
    """
    for path in existing(folder):
        try:
            verify(path)
        except UserError:
            _discard(path)


def _discard(path: Location) -> None:
    """Remove a checkpoint so that half of it never passes for a whole one.

    A folder is renamed first. Behind a URI, where nothing can be renamed, the manifest goes first.
    """
    if isinstance(path, Path):
        shutil.rmtree(_set_aside(path), ignore_errors=True)
        return
    locations.remove_file(locations.child(path, MANIFEST))
    locations.remove(path)


def _set_aside(path: Path) -> Path:
    """Rename a checkpoint, if it exists, to a name that `existing` passes over; return the name."""
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        path.rename(old)
    return old


def existing(folder: L) -> list[L]:
    """Return the complete checkpoints of a folder, oldest first."""
    if isinstance(folder, Path):
        found = sorted(p for p in folder.glob("round_" + ROUND_DIGITS * "[0-9]") if p.is_dir())
        return cast(list[L], found)
    there = [Path(name).parts for name in locations.names(folder)]
    complete = {parts[0] for parts in there if parts[1:] == (MANIFEST,)}
    pattern = rf"round_\d{{{ROUND_DIGITS}}}"
    rounds = sorted(name for name in complete if re.fullmatch(pattern, name))
    return [locations.child(folder, name) for name in rounds]


def verify(path: Location) -> Manifest:
    """Return the manifest of a checkpoint whose files are all as they were written.

    Behind a URI only the server's file is checked here: each worker checks the shards it reads.
    Raises CheckpointError: the checkpoint is torn or edited, or is not a checkpoint.
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
            raise CheckpointError(f"{path}: {name} is not what was written (its sha256 differs)")


@contextlib.contextmanager
def reading_shards(path: Location, names: Collection[str]) -> Iterator[Path]:
    """Yield a folder with some shards of a verified checkpoint, for the worker that needs them."""
    with locations.reading(path, names) as folder:
        if isinstance(path, str):
            shards = {s.file: s.sha256 for s in read_manifest(path).shards}
            _require_as_written(path, folder, {name: shards[name] for name in names})
        yield folder


def read_shared(path: Location, manifest: Manifest) -> Params:
    """Return the global parameters of a verified checkpoint.

    Raises UserError if the file cannot be read, or belongs to another checkpoint.
    """
    return prefixes.select(_read_arrays_of_server(path, manifest), "shared")


def read_server(
    path: Location, manifest: Manifest, *, num_agents: int, round_steps: int
) -> ServerState:
    """Return the server's state of a verified checkpoint.

    A checkpoint of version 0.1 holds no clocks: every agent had then taken `round_steps` local
    steps per round. Raises UserError if the file cannot be read, or belongs to another checkpoint.
    """
    named = _read_arrays_of_server(path, manifest)
    clocks = named.get("clocks", np.full(num_agents, manifest.round * round_steps, dtype=np.int64))
    if clocks.shape != (num_agents,) or clocks.dtype != np.int64:
        raise CheckpointError(f"{path}: {_SERVER}: clocks must hold one whole number per agent")
    return ServerState(
        round=manifest.round,
        shared=prefixes.select(named, "shared"),
        clocks=clocks,
        aggregator=prefixes.select(named, "aggregator"),
        optimizer=prefixes.select(named, "optimizer"),
    )


def _read_arrays_of_server(path: Location, manifest: Manifest) -> dict[str, Array]:
    with locations.reading(path, [_SERVER]) as folder:
        named = read_arrays(folder / _SERVER)
    if digests.of_arrays(prefixes.select(named, "shared")) != manifest.digest:
        raise CheckpointError(f"{path}: {_SERVER} is of another checkpoint (its digest differs)")
    return named


def _sync(path: Path) -> None:
    """Flush a file to the disk before the rename, so that a power cut leaves no empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
