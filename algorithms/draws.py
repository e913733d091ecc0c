"""Random numbers that depend on (seed, role, agent id, counter) alone.

Philox is a counter-based generator, so the numbers of any agent at any step can be computed on
their own. Packing, block size and resuming therefore cannot change a draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from .types import Array

_WORDS_PER_COUNT = 4  # one Philox4x64 counter value yields four 64-bit words
_MOST_NUMBERS = 2**20  # most numbers kept per agent, whatever the width of a step


class Role(IntEnum):
    """Purpose of a stream of random numbers; two roles never share numbers."""

    INITIAL_WEIGHTS = 1
    DYNAMICS = 2
    EXPLORATION = 3
    REPLAY = 4
    EPISODE = 5
    EVALUATION = 6
    TRANSITION = 7
    TEST_DYNAMICS = 8
    LIBRARY = 9
    PARTICIPATION = 10


def philox(seed: int, role: Role, index: int, counter: int = 0) -> np.random.Generator:
    """Return a generator positioned at `counter` (in units of four words) of one stream."""
    key = np.array([seed, (int(role) << 32) | index], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def episode_seed(seed: int, role: Role, index: int, episode: int) -> int:
    """Return the seed of one episode's reset: 31 bits, because every environment accepts these."""
    return int(philox(seed, role, index, episode).integers(2**31))


def gaussian(uniform: Array) -> Array:
    """Return one standard normal number for each uniform one in [0, 1); all are finite."""
    from scipy.special import ndtri  # takes 0.3 s to import; only continuous actions need it

    return np.asarray(ndtri(np.maximum(uniform, np.finfo(np.float64).tiny)))


class StepDraws:
    """Uniform numbers in [0, 1) for N agents, `width` of them per local step.

    They are computed for `block` steps at a time, because building a generator costs more than
    drawing the numbers. The block size does not change a bit.
    """

    def __init__(
        self, seed: int, role: Role, agent_ids: Sequence[int], *, width: int, block: int = 128
    ) -> None:
        self._seed, self._role, self._agent_ids = seed, role, tuple(agent_ids)
        self._width, self._block = width, max(1, min(block, _MOST_NUMBERS // max(1, width)))
        self._counts = -(-width // _WORDS_PER_COUNT)
        self._first = -1
        self._numbers = np.empty((0, len(self._agent_ids), width))

    def at(self, step: int) -> Array:
        """Return the numbers of local step `step`: [N, width] float64, not to be written to."""
        if not 0 <= step - self._first < len(self._numbers) or self._first < 0:
            self._fill(step)
        return self._numbers[step - self._first]  # type: ignore[no-any-return]

    def _fill(self, first: int) -> None:
        words = self._counts * _WORDS_PER_COUNT
        rows = [
            philox(self._seed, self._role, agent, first * self._counts).random((self._block, words))
            for agent in self._agent_ids
        ]
        self._numbers = np.ascontiguousarray(np.stack(rows, axis=1)[:, :, : self._width])
        self._first = first
