"""The contract of a learner: what the framework asks of it and of its keys, with defaults."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from .settings import Settings
from .types import AgentState, Array, Params, Spec
from .vector_env import VectorEnv

if TYPE_CHECKING:
    from torch import nn


class LearnerConfig(Settings):
    """Keys of a learner. The framework asks these methods and never for a key by its name."""

    def require_agents(self, num_agents: int) -> None:
        """Raise ValueError if a key that holds one value per agent does not hold `num_agents`."""

    def steps_per_interval_unit(self) -> int:
        """Return the local steps of one unit of `federation.sync_interval`."""
        return 1

    def steps_before_learning(self) -> int:
        """Return the local steps before the first update."""
        return 0

    def forgets_on_sync(self) -> bool:
        """Return True if replay and optimizer start afresh after every averaging."""
        return False

    def network_device(self) -> Literal["cpu", "cuda"]:
        """Return the device on which networks live."""
        return "cpu"

    def rows_per_update(self) -> int:
        """Return the rows that one update passes through the networks of an agent."""
        return 0

    def for_acting(self) -> Self:
        """Return the keys of a learner that only acts, on the CPU."""
        return self


class Learner(ABC):
    """N local agents in lock-step. One agent is N = 1, never a second code path.

        learner = FedRDQN(config, spec, agent_ids=[0, 1], seed=0)
        learner.load_shared(broadcast)
        for _ in range(sync_interval):
            learner.step(env)
        update = learner.shared()

    Counters of an agent (exploration, learning start, the optimizer's step) are functions of
    `clock`. The framework sets `clock` before each round, so a checkpoint does not store it.
    """

    Config: ClassVar[type[LearnerConfig]]
    spec_kinds: ClassVar[tuple[Literal["tabular", "discrete", "continuous"], ...]]
    """Kinds of `Spec` that the algorithm can learn on."""
    exemptions: ClassVar[Mapping[str, str]] = {}
    """Laws of the project that do not hold for this plug-in, each with its reason."""
    clock: int = 0
    """Local steps that each of these agents has taken since the start of the run."""

    @abstractmethod
    def __init__(self, config: Any, spec: Spec, *, agent_ids: Sequence[int], seed: int) -> None: ...

    @abstractmethod
    def step(self, env: VectorEnv) -> None:
        """Take one local step with all N agents: t -> t + 1 of the paper's algorithm."""

    @abstractmethod
    def act(self, obs: Array) -> Array:
        """Return greedy actions: [N, M, S] float32 or [N, M] int64 -> [N, M] or [N, M, A]."""

    @abstractmethod
    def shared(self) -> Params:
        """Return the parameters that are averaged: each [N, ...]."""

    @abstractmethod
    def load_shared(self, shared: Params) -> None:
        """Take the broadcast (no agent axis) into all N agents."""

    @abstractmethod
    def agent_state(self, row: int) -> AgentState:
        """Return everything of one agent, the shared parameters included."""

    @abstractmethod
    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back the result of `agent_state`."""

    def drain_metrics(self) -> dict[str, Array]:
        """Return means per agent since the last call, each [N] float64; NaN where none was seen."""
        return {}

    def greedy_policy(self) -> nn.Module:
        """Return the policy of the first agent as a torch module to export; see `policies`.

        Raises NotImplementedError if the learner cannot be exported.
        """
        raise NotImplementedError

    @classmethod  # noqa: B027 - a default
    def check(cls, config: Any, spec: Spec, sync_interval: int) -> None:
        """Raise ValueError if these keys do not fit the environment or the sync interval."""

    @classmethod
    def exemptions_of(cls, config: Any) -> Mapping[str, str]:
        """Return the exemptions that hold under these keys."""
        return cls.exemptions

    @classmethod
    def bytes_per_process(cls, config: Any) -> int:
        """Return the memory of the libraries that a process loads for this learner, in bytes."""
        return 0

    @classmethod
    def replay_bytes(cls, config: Any, spec: Spec, steps: int) -> tuple[int, int]:
        """Return the bytes of one agent's replay after `steps`: in memory, and in a checkpoint."""
        return 0, 0
