"""Any online algorithm of RLlib as the local agent: FedAvg over its module's weights.

A local agent is an RLlib Algorithm on the new API stack, with one local env runner over our
environment and one local learner. After E environment steps or training iterations the weights of
its RLModule, target networks included, are averaged and broadcast. Optimizer, replay buffer and
episodes stay with the agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from algorithms.learner import LearnerConfig
from algorithms.omega import Level
from algorithms.types import AgentState, Array, Params, Spec

from ..agents.agent_batch import AgentBatch, SelfHostedLearner
from ..common.json_values import require_json

if TYPE_CHECKING:
    from torch import nn

    from ..config.schema import Experiment

Count = Annotated[int, Field(ge=1)]
DEFAULT_ITERATION = 1000
"""Environment steps of a training iteration where nothing says otherwise."""


class RLlib(SelfHostedLearner):
    """An algorithm of RLlib (PPO, SAC, DQN, ...), its module's weights averaged.

    This object is the policy alone, as evaluations need it; `fedrl_ray.rllib.agents` hosts the
    algorithms. docs/rllib.md has the rest.
    """

    spec_kinds = ("discrete", "continuous")
    exemptions: ClassVar[dict[str, str]] = {
        "packing": "APPO and IMPALA learn in a thread of their own, which may be a batch late",
        "resume": "resume is not exact with APPO and IMPALA: batches and weights on their way to "
        "the learner's thread are not stored",
    }

    class Config(LearnerConfig):
        """Keys of `learner: {name: rllib}`."""

        algorithm: str = "PPO"
        """Name in RLlib's registry: PPO, SAC, DQN, APPO or IMPALA."""
        config: dict[str, Annotated[Any, AfterValidator(require_json)]] = {}
        """Arguments of the methods `training`, `rl_module`, `env_runners` and `environment` of
        RLlib's AlgorithmConfig: lr, gamma, minibatch_size, model_config, ..."""
        interval_unit: Literal["steps", "iterations"] = "steps"
        """What `federation.sync_interval` counts: environment steps, or training iterations.
        Everything else that counts local steps counts environment steps either way."""
        iteration_steps: Count | None = None
        """Environment steps of one training iteration (RLlib's train_batch_size_per_learner for
        PPO, APPO and IMPALA, else min_sample_timesteps_per_iteration); null: the whole interval
        where it counts steps, 1000 where it counts iterations."""
        omega: Level = 0.0
        """Robustness level of DQN's or SAC's target; 0: RLlib's own algorithm."""
        expectile: Annotated[float, Field(gt=0, lt=1)] = 0.01
        """Expectile level of the degree network, where omega is above 0."""

        @model_validator(mode="before")
        @classmethod
        def _iterations_have_a_length(cls, data: Any) -> Any:
            """So that whoever reads config.yaml can tell environment steps."""
            if isinstance(data, dict) and data.get("interval_unit") == "iterations":
                return {"iteration_steps": DEFAULT_ITERATION} | {
                    k: v for k, v in data.items() if (k, v) != ("iteration_steps", None)
                }
            return data

        def steps_per_interval_unit(self) -> int:
            """Environment steps of one unit of `federation.sync_interval`."""
            return 1 if self.interval_unit == "steps" else int(self.iteration_steps or 1)

    def __init__(self, config: Config, spec: Spec, *, agent_ids: Sequence[int], seed: int) -> None:
        from ..rllib.module import ModulePolicy

        self._config, self._spec = config, spec
        self._policy = ModulePolicy(config, spec, seed=seed)
        self._num_agents = len(agent_ids)

    def act(self, obs: Array) -> Array:
        """Greedy actions: [N, M, S] -> [N, M] int64 or [N, M, A] float32."""
        flat = self._policy.act(obs.reshape(-1, obs.shape[-1]))
        return flat.reshape(*obs.shape[:2], *flat.shape[1:])

    def greedy_policy(self) -> nn.Module:
        """Return the policy that `act` follows, for export. Raises UserError if it has none."""
        from ..rllib.algorithm import algorithm_config
        from ..rllib.exported import exported

        config = algorithm_config(self._config, self._spec)
        return exported(self._policy.module, config, self._spec)

    def shared(self) -> Params:
        """Weights of the module, the same for every agent: each [N, ...]."""
        return {
            name: np.repeat(x[None], self._num_agents, axis=0)
            for name, x in self._policy.weights().items()
        }

    def load_shared(self, shared: Params) -> None:
        """Take weights without an agent axis."""
        self._policy.load_weights(shared)

    @classmethod
    def exemptions_of(cls, config: Config) -> dict[str, str]:
        """Those of the exemptions that concern the algorithm chosen."""
        return cls.exemptions if config.algorithm in ("APPO", "IMPALA") else {}

    @classmethod
    def check(cls, config: Config, spec: Spec, sync_interval: int) -> None:
        """Raises UserError for an algorithm or keys that RLlib does not take."""
        from ..rllib.algorithm import check_settings

        check_settings(config, spec, sync_interval)

    @classmethod
    def bytes_per_process(cls, config: Config) -> int:
        """Return the memory that RLlib adds to a process, in bytes (measured)."""
        return 170 * 2**20

    @classmethod
    def replay_bytes(cls, config: Config, spec: Spec, steps: int) -> tuple[int, int]:
        """Of one agent's replay buffer when a run ends: in memory, and in a checkpoint."""
        from ..rllib.replay import bytes_per_agent

        return bytes_per_agent(config, spec, steps)

    def agent_state(self, row: int) -> AgentState:
        """Return the weights: this object is the policy alone."""
        return self._policy.weights()

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back the weights."""
        self._policy.load_weights(state)

    @classmethod
    def host(cls, experiment: Experiment, agent_ids: Sequence[int]) -> AgentBatch:
        """Build the algorithms of a worker's agents."""
        from ..rllib.agents import AlgorithmBatch

        return AlgorithmBatch(experiment, agent_ids)
