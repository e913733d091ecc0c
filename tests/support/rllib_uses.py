"""Expectations of every name of RLlib that we import: by value, by signature or by use.

Full name -> a question about the object of that name, whose answer must be true.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium import spaces


def takes(function: Any, *names: str) -> bool:
    """Return True if a function can be called with these named arguments."""
    parameters = inspect.signature(function).parameters.values()
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return anything or set(names) <= {p.name for p in parameters}


def has(thing: Any, *names: str) -> bool:
    return all(hasattr(thing, name) for name in names)


def is_(value: Any) -> Callable[[Any], bool]:
    return lambda found: found == value


ALGORITHMS, CORE, METRICS = "ray.rllib.algorithms", "ray.rllib.core", "ray.rllib.utils.metrics"
DQN, SAC = f"{ALGORITHMS}.dqn", f"{ALGORITHMS}.sac"
DISTRIBUTIONS = f"{CORE}.distribution.torch.torch_distribution"
LOSS = ("module_id", "config", "batch", "fwd_out")
STATE = (
    "get_state",
    "set_state",
    "from_checkpoint",
    "save_to_path",
    "get_inference_action_dist_cls",
)
MODULE = ("setup", "_forward_train", "get_non_inference_attributes", "make_target_networks")


def acts_by_its_mean(distribution: Any) -> bool:
    """Assert that greedy actions are the first half of the module's output, not squashed."""
    greedy = distribution.from_logits(torch.tensor([[0.5, 3.0, 0.0, 0.0]])).to_deterministic()
    return bool((greedy.sample() == torch.tensor([[0.5, 3.0]])).all())


def takes_loss_by_optimizer(learner: Any) -> bool:
    """Assert that SAC differentiates `_temp_losses`, under the name of each optimizer."""
    source = inspect.getsource(learner.compute_gradients)
    return '_temp_losses.pop((module_id, optim_name + "_loss"))' in source


USES: dict[str, Callable[[Any], Any]] = {
    "ray.rllib": lambda m: m.__name__ == "ray.rllib",
    f"{ALGORITHMS}.algorithm_config.AlgorithmConfig": lambda c: (
        takes(c.learners, "learner_class", "learner_config_dict", "num_learners")
        and takes(c.rl_module, "model_config", "rl_module_spec")
        and takes(c.copy, "copy_frozen")
        and takes(c.get_rl_module_spec, "spaces", "inference_only")
        and takes(c.training, "train_batch_size_per_learner", "gamma", "grad_clip")
        and takes(c.reporting, "min_sample_timesteps_per_iteration", "min_time_s_per_iteration")
        and takes(c.environment, "env", "env_config", "normalize_actions", "clip_actions")
        and takes(c.env_runners, "num_env_runners", "num_envs_per_env_runner")
        and has(c, "learner_class", "rl_module_spec", "model_config", "get_default_learner_class")
        and has(c, "get_default_rl_module_spec", "build_algo", "validate", "freeze")
        and has(c(), "algo_class", "gamma", "lr", "learner_config_dict")
        and "gamma" in c()
        and c().get("no such key", 7) == 7
        and has(c(), "normalize_actions", "clip_actions", "enable_rl_module_and_learner")
    ),
    f"{ALGORITHMS}.impala.impala_learner.IMPALALearner": lambda c: (
        "_learner_state_queue" in inspect.getsource(c.build)
    ),
    f"{ALGORITHMS}.registry.ALGORITHMS": lambda table: all(
        table[name]()[1].algo_class is table[name]()[0] for name in ("PPO", "SAC", "DQN")
    ),
    f"{DQN}.DQNConfig": lambda c: takes(c.training, "num_steps_sampled_before_learning_starts"),
    f"{DQN}.dqn.DQN": lambda c: c.get_default_config().algo_class is c,
    f"{DQN}.dqn_learner.QF_NEXT_PREDS": is_("qf_next_preds"),
    f"{DQN}.dqn_learner.QF_PREDS": is_("qf_preds"),
    f"{DQN}.dqn_learner.QF_TARGET_NEXT_PREDS": is_("qf_target_next_preds"),
    f"{DQN}.torch.default_dqn_torch_rl_module.DefaultDQNTorchRLModule": lambda c: has(c, *MODULE),
    f"{DQN}.torch.dqn_torch_learner.DQNTorchLearner": lambda c: takes(
        c.compute_loss_for_module, *LOSS
    ),
    f"{SAC}.sac.SAC": lambda c: c.get_default_config().algo_class is c,
    f"{SAC}.sac.SACConfig": lambda c: has(c(), "critic_lr", "twin_q", "n_step"),
    f"{SAC}.sac_learner.ACTION_LOG_PROBS_NEXT": is_("action_log_probs_next"),
    f"{SAC}.sac_learner.ACTION_PROBS_NEXT": is_("action_probs_next"),
    f"{SAC}.sac_learner.QF_TARGET_NEXT": is_("q_target_next"),
    f"{SAC}.torch.default_sac_torch_rl_module.DefaultSACTorchRLModule": lambda c: has(c, *MODULE),
    f"{SAC}.torch.sac_torch_learner.SACTorchLearner": lambda c: (
        takes(c.compute_loss_for_module, *LOSS) and takes_loss_by_optimizer(c)
    ),
    f"{CORE}.ALL_MODULES": is_("__all_modules__"),
    f"{CORE}.COMPONENT_METRICS_LOGGER": is_("metrics_logger"),
    f"{CORE}.COMPONENT_RL_MODULE": is_("rl_module"),
    f"{CORE}.DEFAULT_MODULE_ID": is_("default_policy"),
    f"{CORE}.columns.Columns": lambda c: (
        [c.OBS, c.ACTIONS, c.REWARDS, c.TERMINATEDS, c.ACTIONS_FOR_ENV, c.ACTION_DIST_INPUTS]
        == ["obs", "actions", "rewards", "terminateds", "actions_for_env", "action_dist_inputs"]
    ),
    f"{CORE}.learner.learner.Learner": lambda c: (
        takes(c.register_optimizer, "module_id", "optimizer_name", "optimizer", "params")
        and takes(c.register_optimizer, "lr_or_lr_schedule")
        and takes(c.get_state, "not_components")
        and has(c, "get_parameters", "module", "set_state")
    ),
    f"{DISTRIBUTIONS}.TorchCategorical": lambda c: (
        c.from_logits(torch.tensor([0.0, 1.0])).to_deterministic().sample() == 1
    ),
    f"{DISTRIBUTIONS}.TorchDiagGaussian": acts_by_its_mean,
    f"{DISTRIBUTIONS}.TorchSquashedGaussian": acts_by_its_mean,
    f"{DISTRIBUTIONS}.TorchDeterministic": lambda c: c(torch.ones(1)).sample() == 1,
    f"{CORE}.models.base.ENCODER_OUT": is_("encoder_out"),
    f"{CORE}.models.catalog.Catalog": lambda c: takes(c.build_encoder, "framework"),
    f"{CORE}.models.configs.MLPHeadConfig": lambda c: (
        c(input_dims=[3], output_layer_dim=1).build(framework="torch")(torch.zeros(2, 3)).shape
        == (2, 1)
    ),
    f"{CORE}.rl_module.MultiRLModule": lambda c: has(c, "keys", "__getitem__"),
    f"{CORE}.rl_module.RLModule": lambda c: has(c, *STATE, "forward_inference", "is_stateful"),
    f"{CORE}.rl_module.apis.QNetAPI": lambda c: has(c, "compute_q_values"),
    f"{CORE}.rl_module.apis.TargetNetworkAPI": lambda c: has(c, "make_target_networks"),
    f"{CORE}.rl_module.default_model_config.DefaultModelConfig": lambda c: has(
        c(), "fcnet_hiddens", "fcnet_activation", "use_lstm"
    ),
    f"{CORE}.rl_module.rl_module.RLModule": lambda c: (
        takes(c.get_state, "inference_only") and has(c, *STATE, "forward_inference", "unwrapped")
    ),
    f"{CORE}.rl_module.rl_module.RLModuleSpec": lambda c: has(c(), "module_class", "model_config"),
    f"{CORE}.rl_module.torch.TorchRLModule": lambda c: issubclass(c, torch.nn.Module),
    "ray.rllib.env.single_agent_episode.SingleAgentEpisode": lambda c: (
        takes(c, "id_", "observations", "actions", "rewards", "extra_model_outputs")
        and takes(c, "observation_space", "action_space", "terminated", "truncated")
        and takes(c, "t_started", "len_lookback_buffer")
        and has(c(), "is_terminated", "is_truncated", "is_numpy", "to_numpy")
    ),
    f"{METRICS}.ENV_RUNNER_RESULTS": is_("env_runners"),
    f"{METRICS}.LEARNER_RESULTS": is_("learners"),
    f"{METRICS}.NUM_ENV_STEPS_SAMPLED_LIFETIME": is_("num_env_steps_sampled_lifetime"),
    f"{METRICS}.NUM_MODULE_STEPS_TRAINED_LIFETIME": is_("num_module_steps_trained_lifetime"),
    f"{METRICS}.WEIGHTS_SEQ_NO": is_("weights_seq_no"),
    f"{METRICS}.metrics_logger.MetricsLogger": lambda c: (
        takes(c, "root")
        and takes(c.log_value, "key", "value", "reduce")
        and takes(c.log_dict, "key", "window")
        and takes(c.aggregate, "key")
        and takes(c.peek, "default")
    ),
    "ray.tune.registry": lambda m: (
        takes(m.register_env, "name", "env_creator")
        and takes(m._global_registry.contains, "category", "key")
        and takes(m._global_registry.get, "category", "key")
        and m.ENV_CREATOR == "env_creator"
    ),
    "ray.rllib.utils.spaces.space_utils": lambda m: (
        m.unsquash_action(np.zeros(1), spaces.Box(0.0, 4.0, (1,))) == 2.0
        and m.clip_action(np.full(1, 9.0), spaces.Box(0.0, 4.0, (1,))) == 4.0
    ),
}
