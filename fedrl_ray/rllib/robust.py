"""The robust target in RLlib: `robust(DQNConfig(), omega=0.3, expectile=0.01)`.

Errors name the keys of `learner: {name: rllib}`, whose `config` becomes the AlgorithmConfig.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NamedTuple

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn.dqn import DQN
from ray.rllib.algorithms.sac.sac import SAC
from ray.rllib.core.learner.learner import Learner
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModule, RLModuleSpec

from algorithms.omega import require_level

from ..common.errors import UserError
from .config_keys import value_of
from .robust_dqn import RobustDQNLearner, RobustDQNModule
from .robust_sac import RobustSACLearner, RobustSACModule


class _Parts(NamedTuple):
    learner: type[Learner]
    module: type[RLModule]


_PARTS: dict[Any, _Parts] = {
    DQN: _Parts(RobustDQNLearner, RobustDQNModule),
    SAC: _Parts(RobustSACLearner, RobustSACModule),
}


def robust(config: AlgorithmConfig, *, omega: float, expectile: float) -> AlgorithmConfig:
    """Return a copy of a DQN or SAC config whose critics learn the robust target.

    The target is y = r + gamma [(1 - omega) v(s') + omega D(s; psi)], with D the expectile of v(s')
    at level `expectile`. At omega 0 the copy is RLlib's own algorithm, without a degree network.

    Raises UserError: the algorithm is another one, or a level is out of range. It is also raised
    with omega above 0 if the target is not defined: for n-step returns, distributions over returns,
    recurrent networks, and custom learners or modules.
    """
    parts = _PARTS.get(config.algo_class)
    if parts is None:
        name = config.algo_class.__name__ if isinstance(config.algo_class, type) else "none"
        raise UserError(f"learner.algorithm: must be DQN or SAC for a robust target; got {name}")
    try:
        require_level(omega)
    except ValueError as error:
        raise UserError(f"learner.{error}") from None
    if not 0 < expectile < 1:
        raise UserError(f"learner.expectile: must lie in (0, 1); got {expectile}")
    config = config.copy(copy_frozen=False)
    if omega == 0:
        return config
    _check_settings(config)
    return _with_parts(config, parts).learners(
        learner_config_dict={"omega": float(omega), "expectile": float(expectile)}
    )


def _check_settings(config: AlgorithmConfig) -> None:
    """Raise UserError if the target is undefined: y needs one step, one value and one state."""
    found_and_wanted = {
        "enable_rl_module_and_learner": (config.enable_rl_module_and_learner, True),
        "n_step": (value_of(config, "n_step", 1), 1),
        "num_atoms": (value_of(config, "num_atoms", 1), 1),
        "model_config.use_lstm": (_model_config(config).get("use_lstm", False), False),
    }
    for key, (found, wanted) in found_and_wanted.items():
        if found != wanted:
            raise UserError(
                f"learner.config.{key}: must be {wanted} with learner.omega above 0; got {found!r}"
            )


def _model_config(config: AlgorithmConfig) -> dict[str, Any]:
    """Return the config's model settings, with those of the user's module spec on top."""
    spec: object = config.rl_module_spec
    own = spec.model_config if isinstance(spec, RLModuleSpec) else None
    settings: dict[str, Any] = asdict(own) if isinstance(own, DefaultModelConfig) else own or {}
    return {**config.model_config, **settings}


def _with_parts(config: AlgorithmConfig, parts: _Parts) -> AlgorithmConfig:
    """Return the config with our learner and module in place of RLlib's."""
    spec: Any = config.rl_module_spec
    own: Any = config.get_default_rl_module_spec()
    if not isinstance(spec, RLModuleSpec) or spec.module_class is not own.module_class:
        raise UserError("learner.config.rl_module_spec: must be RLlib's with learner.omega above 0")
    if config.learner_class is not config.get_default_learner_class():
        raise UserError("learner.config.learner_class: must be RLlib's with learner.omega above 0")
    spec.module_class = parts.module
    if spec.model_config == own.model_config:
        spec.model_config = None  # so that later changes of the config apply
    return config.rl_module(rl_module_spec=spec).learners(learner_class=parts.learner)
