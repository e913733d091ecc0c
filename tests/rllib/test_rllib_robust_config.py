"""RLlib configs with the robust target: accepted and refused settings."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ray.rllib.algorithms.cql.cql import CQLConfig
from ray.rllib.algorithms.dqn.dqn import DQNConfig
from ray.rllib.algorithms.ppo.ppo import PPOConfig
from ray.rllib.algorithms.sac.sac import SACConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from fedrl_ray.common.errors import UserError
from fedrl_ray.rllib.robust import robust
from fedrl_ray.rllib.robust_dqn import RobustDQNLearner, RobustDQNModule
from fedrl_ray.rllib.robust_sac import RobustSACLearner
from tests.support.rllib_learners import (
    CONFIGS,
    DISCRETE,
    MODEL,
    OBS,
    build,
    dqn,
    gradients_of,
    minibatch,
    sac,
)


@pytest.mark.parametrize("config", [DQNConfig(), SACConfig()])
def test_asked_for_omega_zero_rllib_is_left_as_it_is(config: Any) -> None:
    plain = robust(config, omega=0, expectile=0.01)
    assert plain is not config
    assert plain.learner_class is config.learner_class
    assert plain.rl_module_spec.module_class is config.rl_module_spec.module_class


def test_the_given_config_is_not_changed() -> None:
    config = DQNConfig().rl_module(rl_module_spec=RLModuleSpec(model_config=MODEL))
    config.freeze()
    made = robust(config, omega=0.3, expectile=0.01)
    assert made.learner_class is RobustDQNLearner
    assert made.rl_module_spec.module_class is RobustDQNModule
    assert made.rl_module_spec.model_config == MODEL
    assert config.learner_class is not RobustDQNLearner
    assert config.rl_module_spec.module_class is not RobustDQNModule


def test_the_robust_config_can_be_changed_like_any_other() -> None:
    made = robust(dqn(), omega=0.3, expectile=0.01).training(dueling=True)
    assert hasattr(build(made, DISCRETE).module[DEFAULT_MODULE_ID], "vf")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_degree_network_is_the_learners_and_not_the_actors(name: str) -> None:
    config, actions = CONFIGS[name]
    module = build(robust(config, omega=0.5, expectile=0.01), actions).module[DEFAULT_MODULE_ID]
    degree = {key for key in module.get_state() if key.startswith("degree.")}
    assert len(degree) == 7  # three layers, and RLlib's constant of every head
    assert module.degree(torch.zeros(6, 3)).shape == (6,)
    assert not degree & set(module.get_state(inference_only=True))
    actor = RLModuleSpec(
        module_class=type(module),
        observation_space=OBS,
        action_space=actions,
        inference_only=True,
        model_config=module.model_config,
    ).build()
    assert not hasattr(actor, "degree")
    actor.set_state(module.get_state(inference_only=True))
    assert torch.isfinite(
        next(iter(actor.forward_inference({"obs": torch.zeros(1, 3)}).values()))
    ).all()


@pytest.mark.parametrize("name", CONFIGS)
def test_each_network_is_clipped_by_its_own_norm(name: str) -> None:
    config, actions = CONFIGS[name]
    config = config.copy().training(grad_clip=1e-3, grad_clip_by="global_norm")
    learner = build(robust(config, omega=0.5, expectile=0.01), actions)
    _, gradients = gradients_of(learner, minibatch(actions))
    clipped = learner.postprocess_gradients(gradients)
    norms = {}
    for network, optimizer in learner.get_optimizers_for_module(DEFAULT_MODULE_ID):
        own = learner.filter_param_dict_for_optimizer(clipped, optimizer).values()
        norms[network] = torch.cat([g.flatten() for g in own]).norm().item()
    assert norms["degree"] == pytest.approx(1e-3, rel=1e-2)
    assert norms["q" if "dqn" in name else "qf"] == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize(
    ("config", "levels", "message"),
    [
        (PPOConfig(), {}, "learner.algorithm: must be DQN or SAC for a robust target; got PPO"),
        (CQLConfig(), {}, "learner.algorithm: must be DQN or SAC for a robust target; got CQL"),
        (dqn(), {"omega": 1.5}, "learner.omega: must lie in [0, 1]; got 1.5"),
        (dqn(), {"omega": float("nan")}, "learner.omega: must lie in [0, 1]; got nan"),
        (sac(), {"expectile": 0}, "learner.expectile: must lie in (0, 1); got 0"),
        (dqn(n_step=3), {}, "learner.config.n_step: must be 1 with learner.omega above 0; got 3"),
        (sac(n_step=(1, 3)), {}, "learner.config.n_step: must be 1 .* got (1, 3)"),
        (dqn(num_atoms=10), {}, "learner.config.num_atoms: must be 1 .* got 10"),
        (
            dqn().rl_module(model_config=DefaultModelConfig(use_lstm=True)),
            {},
            "learner.config.model_config.use_lstm: must be False .* got True",
        ),
        (
            dqn().rl_module(rl_module_spec=RLModuleSpec(model_config={"use_lstm": True})),
            {},
            "learner.config.model_config.use_lstm: must be False .* got True",
        ),
        (
            dqn().api_stack(
                enable_rl_module_and_learner=False, enable_env_runner_and_connector_v2=False
            ),
            {},
            "learner.config.enable_rl_module_and_learner: must be True .* got False",
        ),
        (
            dqn().learners(learner_class=RobustSACLearner),
            {},
            "learner.config.learner_class: must be RLlib's with learner.omega above 0",
        ),
        (
            sac().rl_module(rl_module_spec=RLModuleSpec(module_class=RobustDQNModule)),
            {},
            "learner.config.rl_module_spec: must be RLlib's with learner.omega above 0",
        ),
    ],
)
def test_what_has_no_robust_target_is_refused_in_one_line(
    config: Any, levels: dict[str, float], message: str
) -> None:
    start, *rest = message.split(" .* ")
    with pytest.raises(UserError) as caught:
        robust(config, **({"omega": 0.3, "expectile": 0.01} | levels))
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(rest[0] if rest else start)


def test_every_refused_setting_is_rllibs_own_business_at_omega_zero() -> None:
    assert robust(dqn(n_step=3, num_atoms=10), omega=0, expectile=0.01).n_step == 3
