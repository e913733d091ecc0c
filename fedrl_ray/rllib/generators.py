"""The generators that RLlib draws from, keyed like all draws of ours.

RLlib samples actions, shuffles and makes layers from the generators of the process. Around each
agent's work they are seeded by (seed, agent, local step) and then put back, so that neither
packing nor resuming changes a draw, and none of them is ever stored.
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
    """Within it the generators of the process are this agent's; the value is one more."""
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
