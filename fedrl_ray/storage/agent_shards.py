"""Files of agent states: one safetensors file per worker.

Each agent can be read alone, so a resumed run may pack its agents into workers differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field
from safetensors import safe_open

from algorithms import prefixes
from algorithms.types import AgentState

from ..common.errors import CheckpointError
from . import digests
from .array_files import UNREADABLE, write_arrays

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
"""Pydantic rules for data that is read from files: no conversion, no unknown key, no NaN."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A file of agent states that one worker wrote into a checkpoint's folder.

    digests: sha256 of each agent's state, in the order of agent_ids.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    file: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
    bytes: Annotated[int, Field(ge=0)]
    sha256: str
    agent_ids: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    digests: tuple[str, ...]


def write_shard(directory: Path, states: Mapping[int, AgentState]) -> Shard:
    """Write the states of some agents; the first and the last agent id name the file."""
    ids = tuple(states)
    name = f"agents_{ids[0]:05d}-{ids[-1]:05d}.safetensors"
    path = directory / name
    write_arrays(path, prefixes.join({str(agent): state for agent, state in states.items()}))
    return Shard(
        file=name,
        bytes=path.stat().st_size,
        sha256=digests.of_file(path),
        agent_ids=ids,
        digests=tuple(digests.of_arrays(state) for state in states.values()),
    )


def read_states(directory: Path, files: Mapping[int, str]) -> dict[int, AgentState]:
    """Return the states of some agents. Raises CheckpointError: a shard cannot be read.

    files: the name of the shard that holds each agent.
    """
    states: dict[int, AgentState] = {agent: {} for agent in files}
    for name in sorted(set(files.values())):
        try:
            _read_shard(directory / name, {a: states[a] for a in files if files[a] == name})
        except UNREADABLE as error:
            raise CheckpointError(f"{directory / name}: cannot be read: {error}") from None
    return states


def _read_shard(path: Path, states: Mapping[int, AgentState]) -> None:
    with safe_open(path, framework="numpy") as shard:
        for key in shard.keys():  # noqa: SIM118 - not a dict
            agent, _, rest = key.partition("/")
            if int(agent) in states:
                states[int(agent)][rest] = shard.get_tensor(key)
