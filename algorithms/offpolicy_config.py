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
    """Keys that FedRDQN and FedRDDPG share."""

    omega: Omega = 0.3
    """Robustness level in [0, 1], one number or one per agent; 0 is the plain baseline, without a
    degree network."""
    expectile: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Expectile level tau of the degree network; smaller is closer to the minimum."""
    discount: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Discount factor gamma."""
    learning_rate: LearningRate = 1e-3
    """Adam's step size of the Q network; a number or a schedule over local steps."""
    degree_learning_rate: LearningRate | None = None
    """Adam's step size of the degree network; null: the same as `learning_rate`."""
    target_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Soft target update eta after every update; null: 0.005 (0.001 for fedrddpg), or hard copies
    where `target_period` is given."""
    target_period: Annotated[int, Field(ge=1)] | None = None
    """Copy the networks to their targets every so many updates, in place of `target_rate`."""
    batch_size: BatchSize = 16
    """Transitions per minibatch."""
    replay_capacity: Capacity = 1000
    """Transitions that each agent keeps."""
    learning_starts: Annotated[int, Field(ge=0)] = 100
    """Local steps before the first update."""
    updates_per_step: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """Updates per local step; 0.25 is one every four steps."""
    max_grad_norm: Positive | None = None
    """Clip the gradient of each agent and network to this norm; null: no clipping."""
    hidden_sizes: Annotated[tuple[Width, ...], Field(min_length=1)] = (128,)
    """Widths of the hidden layers of every network."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where networks and replay live. cuda needs resources.gpu; environments stay on the CPU."""
    compiled: bool = True
    """On the CPU, compute networks and Adam by compiled kernels, in place of torch. A GPU always
    computes with torch."""
    keep_degree_network: bool = False
    """Build the degree network at omega 0 too, so that omega may rise later in the same run."""
    reset_on_sync: bool = False
    """Rebuild replay, optimizer and targets after every averaging (Jin et al. 2022)."""

    default_target_rate: ClassVar[float] = 0.005

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
            raise ValueError("give target_rate (soft) or target_period (hard), not both")
        return self

    @model_validator(mode="after")
    def _samples_per_step(self) -> Self:
        samples = math.ceil(self.updates_per_step) * self.batch_size
        if samples > MAX_SAMPLES:
            raise ValueError(
                f"updates_per_step * batch_size must be at most {MAX_SAMPLES}, got {samples}"
            )
        return self

    def require_agents(self, num_agents: int) -> None:
        require_one_per_agent(self.omega, num_agents)

    def steps_before_learning(self) -> int:
        return self.learning_starts

    def forgets_on_sync(self) -> bool:
        return self.reset_on_sync

    def network_device(self) -> Literal["cpu", "cuda"]:
        return self.device

    def rows_per_update(self) -> int:
        return self.batch_size

    def for_acting(self) -> Self:
        """Return the same on the CPU, computed by torch where a GPU learns (execution profile)."""
        if self.device == "cpu":
            return self
        return self.model_copy(update={"device": "cpu", "compiled": False})

    def runs_compiled(self) -> bool:
        """Return True if compiled kernels compute the networks."""
        return self.compiled and self.device == "cpu"

    def has_degree_network(self) -> bool:
        """Return True if any agent is robust, or if the degree network is to be kept."""
        return highest(self.omega) > 0 or self.keep_degree_network
