"""The seeds of the episodes of N environments, and the names of the environments in errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from algorithms.draws import Role, episode_seed

from ..common.error_source import attribute_error


class EpisodeSeeds:
    """Seeds for the resets of N rows, keyed by (seed, role, index of the row, episode).

    per_row: episodes that a row plays before it retires. labels: names of the rows in errors.
    """

    def __init__(
        self,
        seed: int,
        role: Role,
        index: Sequence[int],
        first: Sequence[int],
        *,
        per_row: int = 1,
        labels: Sequence[str] = (),
    ) -> None:
        self._seed, self._role, self._index = seed, role, tuple(index)
        self.first = np.array(first, dtype=np.int64)
        """Number of the first episode of each row: [N]."""
        self.per_row, self._labels = per_row, tuple(labels)

    @classmethod
    def of_agents(
        cls, seed: int, agent_ids: Sequence[int], *, labels: Sequence[str] = ()
    ) -> EpisodeSeeds:
        """Return the seeds of training, in which every agent counts its own episodes from 0."""
        return cls(seed, Role.EPISODE, agent_ids, [0] * len(agent_ids), labels=labels)

    @classmethod
    def of_grid(
        cls, seed: int, index: Sequence[int], episodes: int, *, labels: Sequence[str] = ()
    ) -> EpisodeSeeds:
        """Return the seeds of an evaluation: `episodes` adjacent rows per environment.

        Each row plays one episode, so two policies are compared on the same episodes. labels: a
        name for each environment.
        """
        rows, first = np.repeat(index, episodes), np.tile(np.arange(episodes), len(index))
        names = [name for name in labels for _ in range(episodes)]
        return cls(seed, Role.EVALUATION, rows.tolist(), first.tolist(), labels=names)

    @classmethod
    def in_turn(
        cls, seed: int, index: Sequence[int], episodes: int, *, labels: Sequence[str] = ()
    ) -> EpisodeSeeds:
        """Return the seeds of `of_grid` for one row per environment, which plays all episodes."""
        first = [0] * len(index)
        return cls(seed, Role.EVALUATION, index, first, per_row=episodes, labels=labels)

    def __len__(self) -> int:
        return len(self._index)

    def seed(self, row: int, episode: int) -> int:
        """Return the seed of one episode of one row."""
        return episode_seed(self._seed, self._role, self._index[row], episode)

    def attribute_error(self, error: BaseException, row: int) -> None:
        """Attribute an error of one row to its agent; a test environment belongs to no agent."""
        if self._role is Role.EPISODE:
            attribute_error(error, self._index[row])

    def label(self, row: int) -> str:
        """Return the name of a row in errors: `agent 3`, or the name of a test environment."""
        if self._labels:
            return self._labels[row]
        owner = "agent" if self._role is Role.EPISODE else "test environment"
        return f"{owner} {self._index[row]}"
