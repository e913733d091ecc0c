"""Every name of RLlib that we rely on is there and is what we take it for.

The names are read from our sources, so none can be forgotten: a new import needs a line in USES,
and a line that nobody imports any more is a failure too. A release of Ray that moves or renames one
of them fails here, by name, before a run goes wrong.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from packaging.requirements import Requirement
from packaging.version import Version

from fedrl_ray.security import OLDEST_RAY

ROOT = Path(__file__).parents[1]
SOURCES = sorted(p for folder in ("fedrl_ray", "benchmarks") for p in (ROOT / folder).rglob("*.py"))
WATCHED = ("ray.rllib", "ray.tune.registry")


def imported(source: str) -> Iterator[str]:
    """Full names that a source file takes from RLlib, wherever in the file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.startswith(WATCHED))


RELIED_ON = {name for path in SOURCES for name in imported(path.read_text(encoding="utf-8"))}


def takes(function: Any, *names: str) -> bool:
    """Whether a function can be called with these named arguments."""
    parameters = inspect.signature(function).parameters.values()
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return anything or set(names) <= {p.name for p in parameters}


def has(thing: Any, *names: str) -> bool:
    return all(hasattr(thing, name) for name in names)


def is_(value: Any) -> Callable[[Any], bool]:
    return lambda found: found == value


def found(name: str) -> Any:
    """The object of a full name."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except AttributeError:
        return importlib.import_module(name)


CORE, DQN, SAC = "ray.rllib.core", "ray.rllib.algorithms.dqn", "ray.rllib.algorithms.sac"

USES: dict[str, Callable[[Any], bool]] = {
    "ray.rllib.algorithms.algorithm_config.AlgorithmConfig": lambda c: (
        takes(c.learners, "learner_class", "learner_config_dict")
        and takes(c.rl_module, "model_config", "rl_module_spec")
        and takes(c.copy, "copy_frozen")
        and has(c(), "algo_class", "gamma", "lr", "learner_config_dict", "model_config")
        and has(c, "learner_class", "rl_module_spec", "get_default_learner_class")
        and has(c(), "enable_rl_module_and_learner", "get_default_rl_module_spec")
    ),
    f"{DQN}.DQNConfig": lambda c: takes(c().training, "num_steps_sampled_before_learning_starts"),
    f"{DQN}.dqn.DQN": lambda c: c.get_default_config().algo_class is c,
    f"{DQN}.dqn_learner.QF_NEXT_PREDS": is_("qf_next_preds"),
    f"{DQN}.dqn_learner.QF_TARGET_NEXT_PREDS": is_("qf_target_next_preds"),
    f"{DQN}.torch.default_dqn_torch_rl_module.DefaultDQNTorchRLModule": lambda c: has(
        c, "setup", "get_non_inference_attributes", "_forward_train"
    ),
    f"{DQN}.torch.dqn_torch_learner.DQNTorchLearner": lambda c: takes(
        c.compute_loss_for_module, "module_id", "config", "batch", "fwd_out"
    ),
    f"{SAC}.sac.SAC": lambda c: c.get_default_config().algo_class is c,
    f"{SAC}.sac.SACConfig": lambda c: has(c(), "critic_lr", "twin_q", "n_step"),
    f"{SAC}.sac_learner.ACTION_LOG_PROBS_NEXT": is_("action_log_probs_next"),
    f"{SAC}.sac_learner.ACTION_PROBS_NEXT": is_("action_probs_next"),
    f"{SAC}.sac_learner.QF_TARGET_NEXT": is_("q_target_next"),
    f"{SAC}.torch.default_sac_torch_rl_module.DefaultSACTorchRLModule": lambda c: has(
        c, "setup", "get_non_inference_attributes", "_forward_train"
    ),
    f"{SAC}.torch.sac_torch_learner.SACTorchLearner": lambda c: (
        takes(c.compute_loss_for_module, "module_id", "config", "batch", "fwd_out")
        and '_temp_losses.pop((module_id, optim_name + "_loss"))'
        in inspect.getsource(c.compute_gradients)
    ),
    f"{CORE}.DEFAULT_MODULE_ID": is_("default_policy"),
    f"{CORE}.columns.Columns": lambda c: (
        [c.OBS, c.REWARDS, c.TERMINATEDS, c.ACTIONS] == ["obs", "rewards", "terminateds", "actions"]
    ),
    f"{CORE}.learner.learner.Learner": lambda c: (
        takes(c.register_optimizer, "module_id", "optimizer_name", "optimizer", "params")
        and takes(c.register_optimizer, "lr_or_lr_schedule")
        and has(c, "get_parameters", "module", "configure_optimizers_for_module")
    ),
    f"{CORE}.models.base.ENCODER_OUT": is_("encoder_out"),
    f"{CORE}.models.catalog.Catalog": lambda c: takes(c.build_encoder, "framework"),
    f"{CORE}.models.configs.MLPHeadConfig": lambda c: (
        c(input_dims=[3], output_layer_dim=1).build(framework="torch") is not None
    ),
    f"{CORE}.rl_module.default_model_config.DefaultModelConfig": lambda c: has(
        c(), "fcnet_hiddens", "fcnet_activation", "use_lstm"
    ),
    f"{CORE}.rl_module.rl_module.RLModule": lambda c: (
        takes(c.get_state, "inference_only") and has(c, "set_state", "from_checkpoint")
    ),
}


OUR_OWN: set[str] = set()
"""Methods, as Class.method, that RLlib does not call: our own, in classes that extend RLlib's."""


def test_names_are_found_at_any_depth() -> None:
    source = (
        "import ray.rllib.a\nfrom ray.rllib.b import c\ndef f():\n    from ray.rllib.d import e\n"
    )
    assert list(imported(source)) == ["ray.rllib.a", "ray.rllib.b.c", "ray.rllib.d.e"]


def test_every_name_that_we_import_is_used_here() -> None:
    assert sorted(RELIED_ON - USES.keys()) == [], "say in USES what we expect of these names"
    assert sorted(USES.keys() - RELIED_ON) == [], "nobody imports these names any more"


def heirs() -> Iterator[type]:
    """Our classes that extend one of RLlib's."""
    for path in SOURCES:
        if path.is_relative_to(ROOT / "fedrl_ray") and any(imported(path.read_text("utf-8"))):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            module = importlib.import_module(name.removesuffix(".__init__"))
            classes = (c for _, c in inspect.getmembers(module, inspect.isclass))
            yield from (c for c in classes if c.__module__ == name and any(rllib_bases(c)))


def rllib_bases(cls: type) -> list[type]:
    return [base for base in cls.__mro__[1:] if base.__module__.startswith("ray.rllib")]


OVERRIDES = [
    (cls, name)
    for cls in heirs()
    for name, method in vars(cls).items()
    if inspect.isfunction(method) and f"{cls.__name__}.{name}" not in OUR_OWN
]


def test_our_learners_and_modules_are_among_the_heirs() -> None:
    names = {cls.__name__ for cls in heirs()}
    assert {"RobustDQNLearner", "RobustDQNModule", "RobustSACLearner", "RobustSACModule"} <= names


@pytest.mark.parametrize(("cls", "name"), OVERRIDES, ids=lambda x: getattr(x, "__name__", x))
def test_what_we_override_is_still_called_as_we_define_it(cls: type, name: str) -> None:
    hooks = [vars(base)[name] for base in rllib_bases(cls) if name in vars(base)]
    assert hooks, f"RLlib has no {name} any more: our {cls.__name__}.{name} is never called"
    given = inspect.signature(hooks[0]).parameters.values()
    named = [p.name for p in given if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    assert takes(getattr(cls, name), *named)


def test_the_ray_at_work_is_in_the_tested_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["cluster"]]
    ranges = [r.specifier for r in map(Requirement, lines) if r.name == "ray"]
    assert len(ranges) == 2 and ranges[0] == ranges[1]
    assert ranges[0].contains(ray.__version__)
    minor = Version(ray.__version__).minor
    assert not any(ranges[0].contains(f"2.{other}.0") for other in (minor - 1, minor + 1))
    assert Version(ray.__version__) > Version(OLDEST_RAY)


@pytest.mark.parametrize("name", sorted(USES))
def test_the_name_is_what_we_take_it_for(name: str) -> None:
    assert USES[name](found(name)), f"{name} is not what it was"
