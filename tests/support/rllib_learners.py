"""Small learners of RLlib and minibatches for them, without an Algorithm."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn.dqn import DQNConfig
from ray.rllib.algorithms.sac.sac import SACConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from torch import Tensor

OBS = gym.spaces.Box(-5.0, 5.0, (3,), np.float32)
DISCRETE = gym.spaces.Discrete(4)
BOX = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
HIDDEN = (16, 12)
MODEL = DefaultModelConfig(
    fcnet_hiddens=list(HIDDEN),
    fcnet_activation="relu",
    fusionnet_hiddens=[10, 9],
    fusionnet_activation="relu",
)
GAMMA = 0.95


def dqn(**changes: Any) -> DQNConfig:
    """Return DQN configured like FedRDQN: one Q network, squared errors, no clipping."""
    plain = {"double_q": False, "dueling": False, "td_error_loss_fn": "mse", "grad_clip": None}
    return DQNConfig().training(gamma=GAMMA, **(plain | changes)).rl_module(model_config=MODEL)


def sac(**changes: Any) -> SACConfig:
    return SACConfig().training(gamma=GAMMA, **changes).rl_module(model_config=MODEL)


CONFIGS: dict[str, tuple[AlgorithmConfig, gym.Space[Any]]] = {
    "dqn": (dqn(double_q=True, dueling=True, td_error_loss_fn="huber"), DISCRETE),
    "plain dqn": (dqn(), DISCRETE),
    "sac": (sac(), BOX),
    "discrete sac": (sac(target_entropy=-1.0), DISCRETE),
}


def build(config: AlgorithmConfig, actions: gym.Space[Any], *, seed: int = 0) -> Any:
    """Return a new learner; its initial weights depend on the seed alone."""
    torch.manual_seed(seed)
    return config.build_learner(spaces={DEFAULT_MODULE_ID: (OBS, actions)})


def minibatch(actions: gym.Space[Any], *, size: int = 24, seed: int = 5) -> dict[str, Tensor]:
    """Return transitions, a quarter of them terminal, with importance weights of 1."""
    rng = np.random.default_rng(seed)
    actions.seed(seed)
    arrays = {
        "obs": rng.normal(size=(size, 3)),
        "new_obs": rng.normal(size=(size, 3)),
        "rewards": rng.normal(size=size),
        "weights": np.ones(size),
        "n_step": np.ones(size),
    }
    batch = {name: torch.tensor(x, dtype=torch.float32) for name, x in arrays.items()}
    batch["terminateds"] = torch.arange(size) % 4 == 0
    batch["actions"] = torch.tensor(np.array([actions.sample() for _ in range(size)]))
    return batch


def gradients_of(learner: Any, batch: dict[str, Tensor]) -> tuple[float, dict[Any, Tensor]]:
    """Return total loss and gradients by parameter, through the learner's own hooks."""
    batches = {DEFAULT_MODULE_ID: batch}
    outputs = learner.module.forward_train(batches)
    losses = learner.compute_losses(fwd_out=outputs, batch=batches)
    return losses[DEFAULT_MODULE_ID].item(), learner.compute_gradients(losses)


def train_once(learner: Any, batch: dict[str, Tensor]) -> tuple[float, dict[str, Tensor]]:
    """Return total loss and gradients by the parameter's name; SAC's temperature is alpha."""
    loss, gradients = gradients_of(learner, batch)
    module = learner.module[DEFAULT_MODULE_ID]
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    return loss, {names.get(id(ref), "alpha"): gradient for ref, gradient in gradients.items()}


def logged(learner: Any, key: str) -> float:
    """Return the metrics that the learner logged in its last update."""
    return torch.as_tensor(learner.metrics.peek((DEFAULT_MODULE_ID, key))).item()
