"""Keys of RLlib's configs: their values, and kinds that RLlib checks only during a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

from ..common.errors import UserError
from ..common.spelling import nearest


def value_of(config: AlgorithmConfig, key: str, default: Any = None) -> Any:
    """Return the value of a key that only some of RLlib's config classes have."""
    return config.get(key, default)  # type: ignore[no-untyped-call]


def require_kind(config: AlgorithmConfig, key: str, value: Any) -> None:
    """Raise UserError if a value is not of the same kind as the key's default."""
    if key == "model_config":
        _require_model(value)
        return
    default, name = value_of(config, key), f"learner.config.{key}"
    if isinstance(default, bool):
        _require(isinstance(value, bool), name, "true or false", value)
    elif isinstance(default, int | float):
        _require(_is_number(value, type(default)), name, _WORDS[type(default)], value)
    elif isinstance(default, Mapping):
        _require(isinstance(value, Mapping), name, "a mapping", value)


_WORDS = {int: "a whole number", float: "a number, or a schedule [[step, value], ...]"}


def _is_number(value: Any, kind: type) -> bool:
    """Return true for a number, for null, which RLlib may refuse itself, and for a schedule."""
    if kind is float and isinstance(value, list):
        return bool(value) and all(isinstance(pair, list) and len(pair) == 2 for pair in value)
    wanted = (int, float) if kind is float else (int,)
    return value is None or (isinstance(value, wanted) and not isinstance(value, bool))


def _require(holds: bool, name: str, rule: str, value: Any) -> None:
    if not holds:
        raise UserError(f"{name}: must be {rule}; got {value!r}")


def _require_model(value: Any) -> None:
    """Raise UserError for a key that RLlib does not know, and would ignore."""
    name = "learner.config.model_config"
    _require(isinstance(value, Mapping), name, "a mapping", value)
    known = [field.name for field in fields(DefaultModelConfig)]
    for key in value:
        if key not in known:
            raise UserError(
                f"{name}.{key}: unknown key{nearest(key, known)}; known: {', '.join(known)}"
            )
