"""The contract of a vector environment, which a learner steps."""

# ruff: noqa: N802 (shape suffixes are capitals)

from __future__ import annotations

from abc import ABC, abstractmethod

from .types import AgentState, Array, Transition


class VectorEnv(ABC):
    """N environments in lock-step, each with its own dynamics and its own generators."""

    finished: Array
    """Rows whose episode ended in the last step: [N] bool."""

    @property
    @abstractmethod
    def obs(self) -> Array:
        """Observations to act on next, after any reset: [N, S] float32 ([N] int64 if tabular)."""

    @abstractmethod
    def step(self, action: Array) -> Transition:
        """Step all N; finished episodes are reset in the same call."""

    @abstractmethod
    def drain_episodes(self) -> tuple[Array, Array]:
        """Return the sum of returns and the number of episodes finished since the last call.

        Both are [N].
        """

    @abstractmethod
    def agent_state(self, row: int) -> AgentState:
        """Return everything of one environment: episode, physics, generators."""

    @abstractmethod
    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back the result of `agent_state`."""

    def close(self) -> None:  # noqa: B027 - an optional hook
        """Let go of what the environments hold; a second call does nothing."""


class KnownDynamicsEnv(VectorEnv):
    """A tabular vector environment that exposes its kernels, for exact learners."""

    @property
    @abstractmethod
    def kernel_NSAX(self) -> Array:
        """P_k(x|s,a) of each row: [N, S, A, X]."""

    @property
    @abstractmethod
    def reward_SAX(self) -> Array:
        """r(s,a,x), the same for every row: [S, A, X]."""

    @property
    @abstractmethod
    def terminal_S(self) -> Array:
        """Mask of the states that end an episode: [S] bool."""
