"""Random numbers that depend on (seed, role, agent id, counter) alone.

Philox is a counter-based generator: the numbers of any agent at any step can be produced on
their own. Packing, block size and resuming therefore cannot change a draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from .types import Array

_WORDS_PER_COUNT = 4  # one Philox4x64 counter value yields four 64-bit words
_MOST_NUMBERS = 2**20  # kept per agent, however wide a step is


class Role(IntEnum):
    """What a stream of numbers is for; two roles never share numbers."""

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
    """A generator positioned at `counter` (in units of four words) of one stream."""
    key = np.array([seed, (int(role) << 32) | index], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def episode_seed(seed: int, role: Role, index: int, episode: int) -> int:
    """The seed of one episode's reset: 31 bits, as every environment accepts."""
    return int(philox(seed, role, index, episode).integers(2**31))


def gaussian(uniform: Array) -> Array:
    """Standard normal numbers from uniform ones in [0, 1), one for one and all finite."""
    from scipy.special import ndtri  # 0.3 s to import, and only continuous actions need it

    return np.asarray(ndtri(np.maximum(uniform, np.finfo(np.float64).tiny)))


class StepDraws:
    """Uniform numbers in [0, 1) for N agents, `width` of them per local step.

    They are produced `block` steps at a time because building a generator costs more than the
    numbers do; the block size does not change a bit.
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
        """The numbers of local step `step`: [N, width] float64. Read them, do not write."""
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
