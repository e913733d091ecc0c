"""Small tabular problems, and hypothesis strategies for them."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from algorithms.tabular.federated_mdp import FederatedMDP
from algorithms.types import Array

OMEGAS = st.floats(0, 1)
SEEDS = st.integers(0, 2**32 - 1)
FEW_EXAMPLES = settings(max_examples=25, deadline=None)


def two_states(*, terminal: bool = False, kernels: Array | None = None) -> FederatedMDP:
    """State 0 pays 1 and stays with probability .8 or .4; state 1 pays nothing and absorbs."""
    stay = np.array([0.8, 0.4])
    kernel = np.array([[[[p, 1 - p]], [[0, 1]]] for p in stay]) if kernels is None else kernels
    return FederatedMDP(
        kernel_KSAX=kernel,
        reward=np.array([[1.0], [0.0]]),
        terminal_S=np.array([False, terminal]),
        discount=0.5,
    )


def random_mdp(seed: int, *, num_agents: int = 3, sparse: bool = False) -> FederatedMDP:
    generator = np.random.default_rng(seed)
    kernel = generator.random((num_agents, 4, 2, 4))
    if sparse:
        kernel *= (generator.random(kernel.shape) < 0.3) | np.eye(4, dtype=bool)[:, None]
    return FederatedMDP(
        kernel_KSAX=kernel / kernel.sum(-1, keepdims=True),
        reward=generator.normal(size=(4, 2)),
        terminal_S=np.zeros(4, dtype=bool),
        discount=0.9,
    )
