"""Keys for RLlib's random draws, which come from the generators of the process.

RLlib samples actions, shuffles and initialises layers with them. During each agent's work they are
seeded by (seed, agent, local step), and afterwards restored. So neither packing nor resuming
changes a draw, and no generator is stored.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from algorithms.draws import Role, philox


@contextmanager
def keyed(seed: int, agent: int, step: int) -> Iterator[np.random.Generator]:
    """Seed the generators of the process for one agent, and yield another generator for it."""
    own = philox(seed, Role.LIBRARY, agent, step)
    before = random.getstate(), np.random.get_state(), torch.random.get_rng_state()  # noqa: NPY002
    first, second, third = (int(x) for x in own.integers(2**32, size=3))
    random.seed(first)
    np.random.seed(second)  # noqa: NPY002
    torch.manual_seed(third)
    try:
        yield own
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.random.set_rng_state(before[2])
