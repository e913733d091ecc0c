"""The keys that FedRDQN and FedRDDPG share."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from .learner import LearnerConfig
from .omega import Omega, highest, require_one_per_agent
from .schedules import LearningRate

Positive = Annotated[float, Field(gt=0)]
BatchSize = Annotated[int, Field(ge=1, le=10**6)]
Capacity = Annotated[int, Field(ge=1, le=10**9)]
Width = Annotated[int, Field(ge=1, le=2**16)]

MAX_SAMPLES = 10**7
"""Most transitions that one local step of an agent may sample."""


class OffPolicyConfig(LearnerConfig):
    """Keys of every off-policy learner."""

    omega: Omega = 0.3
    """Robustness level in [0, 1]: one number, or one per agent. 0 is the plain baseline without a
    degree network."""
    expectile: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Expectile level tau of the degree network; a smaller value is closer to the minimum."""
    discount: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Discount factor gamma."""
    learning_rate: LearningRate = 1e-3
    """Learning rate of Adam for the Q network: a number, or a schedule over local steps."""
    degree_learning_rate: LearningRate | None = None
    """Learning rate of Adam for the degree network; null: the same as `learning_rate`."""
    target_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Rate eta of the soft update of the targets after every update. null: 0.005 (0.001 for
    fedrddpg), or hard copies if `target_period` is given."""
    target_period: Annotated[int, Field(ge=1)] | None = None
    """Updates between two hard copies of the networks to their targets; null: soft updates at
    `target_rate`."""
    batch_size: BatchSize = 16
    """Transitions per minibatch."""
    replay_capacity: Capacity = 1000
    """Transitions that the replay buffer of each agent holds."""
    learning_starts: Annotated[int, Field(ge=0)] = 100
    """Local steps before the first update."""
    updates_per_step: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """Updates per local step; 0.25 is one update every four steps."""
    max_grad_norm: Positive | None = None
    """Norm to which the gradient of each agent and network is clipped; null: no clipping."""
    hidden_sizes: Annotated[tuple[Width, ...], Field(min_length=1)] = (128,)
    """Widths of the hidden layers of every network."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Device of the networks and of the replay buffer. cuda needs resources.gpu; environments
    always run on the CPU."""
    compiled: bool = True
    """Compute networks and Adam with compiled kernels instead of torch. This holds on the CPU; on a
    GPU torch always computes."""
    keep_degree_network: bool = False
    """Build the degree network at omega 0 too, so that omega may rise later in the same run."""
    reset_on_sync: bool = False
    """Empty the replay buffer and reset optimizer and targets after every averaging (Jin et al.
    2022)."""

    default_target_rate: ClassVar[float] = 0.005
    """Target rate if neither `target_rate` nor `target_period` is given."""

    @model_validator(mode="before")
    @classmethod
    def _default_target(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("target_period") is not None:
            return data
        given = data.get("target_rate")
        return data | {"target_rate": cls.default_target_rate if given is None else given}

    @model_validator(mode="after")
    def _one_target_rule(self) -> Self:
        if self.target_rate is not None and self.target_period is not None:
            raise ValueError("give target_rate (soft) or target_period (hard); got both")
        return self

    @model_validator(mode="after")
    def _samples_per_step(self) -> Self:
        samples = math.ceil(self.updates_per_step) * self.batch_size
        if samples > MAX_SAMPLES:
            raise ValueError(
                f"updates_per_step * batch_size must be at most {MAX_SAMPLES}; got {samples}"
            )
        return self

    def require_agents(self, num_agents: int) -> None:
        """Raise ValueError if `omega` is a list that does not hold one value per agent."""
        require_one_per_agent(self.omega, num_agents)

    def steps_before_learning(self) -> int:
        """Return `learning_starts`."""
        return self.learning_starts

    def forgets_on_sync(self) -> bool:
        """Return `reset_on_sync`."""
        return self.reset_on_sync

    def network_device(self) -> Literal["cpu", "cuda"]:
        """Return `device`."""
        return self.device

    def rows_per_update(self) -> int:
        """Return `batch_size`."""
        return self.batch_size

    def for_acting(self) -> Self:
        """Return the same keys on the CPU; if a GPU learns, torch computes there too (law 1)."""
        if self.device == "cpu":
            return self
        return self.model_copy(update={"device": "cpu", "compiled": False})

    def runs_compiled(self) -> bool:
        """Return True if compiled kernels compute the networks."""
        return self.compiled and self.device == "cpu"

    def has_degree_network(self) -> bool:
        """Return True if any omega is above 0, or if `keep_degree_network` asks for it."""
        return highest(self.omega) > 0 or self.keep_degree_network
