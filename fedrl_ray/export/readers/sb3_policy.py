"""Zip files that Stable-Baselines3 saved, of any of its algorithms, as policies."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any

from algorithms.types import Array, Spec

from ...agents.evaluation import Act
from ...common.errors import UserError, one_line
from ...vector_envs.actions import ActionEncoding
from .actions import as_policy, require_size
from .quiet import quiet


def read(path: Path, spec: Spec, actions: ActionEncoding) -> Act:
    """Return the policy of a trusted file; reading it unpickles.

    Only the policy is built, because the algorithm would allocate a replay buffer. The file does
    not hold the statistics of a VecNormalize wrapper. Raises UserError: it is not a model, or does
    not fit the spec.
    """
    try:
        from stable_baselines3.common.save_util import load_from_zip_file
    except ImportError:
        raise UserError(
            "Stable-Baselines3 files need another package: pip install 'fedrl-ray[sb3]'"
        ) from None
    try:
        with quiet():
            data, parameters, _ = load_from_zip_file(path, device="cpu")
            policy = _build(data, parameters)
    except Exception as error:
        raise UserError(
            f"{path}: cannot be read as a Stable-Baselines3 model: {one_line(error)}"
        ) from None
    space = policy.observation_space
    if spec.kind != "tabular" and space.shape is not None:
        require_size(path, math.prod(space.shape), spec)

    def raw_act(obs: Array) -> Any:
        return policy.predict(obs.reshape(len(obs), *space.shape), deterministic=True)[0]

    return as_policy(path, raw_act, spec, actions)


def _build(data: Any, parameters: Any) -> Any:
    make, arguments = data["policy_class"], dict(data["policy_kwargs"])
    if "use_sde" in inspect.signature(make).parameters:
        arguments.setdefault("use_sde", data.get("use_sde", False))
    policy = make(data["observation_space"], data["action_space"], lambda _: 0.0, **arguments)
    policy.load_state_dict(parameters["policy"])
    return policy
