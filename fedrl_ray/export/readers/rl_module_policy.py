"""Checkpoints of RLModules as policies, whether our export or RLlib wrote them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from algorithms.types import Array, Spec

from ...agents.evaluation import Act
from ...common.errors import UserError, one_line
from ...vector_envs.actions import ActionEncoding
from .actions import RawAct, as_policy, require_size
from .quiet import quiet

if TYPE_CHECKING:
    from ray.rllib.core.rl_module import RLModule

_IN_AN_ALGORITHM = Path("learner_group", "learner", "rl_module")
"""Folder of the modules inside the checkpoint of an RLlib algorithm."""


def read(path: Path, spec: Spec, actions: ActionEncoding) -> Act:
    """Return the policy of a trusted folder; reading it unpickles.

    Raises UserError: it is not an RLModule, is recurrent, or does not fit the spec.
    """
    from gymnasium import spaces

    try:
        module = _load(path)
    except Exception as error:
        raise UserError(f"{path}: cannot be read as an RLModule: {one_line(error)}") from None
    if module.is_stateful():
        raise UserError(f"{path}: must not be recurrent, because an evaluation keeps no state")
    given = module.observation_space
    if spec.kind != "tabular" and isinstance(given, spaces.Box):
        require_size(path, math.prod(given.shape), spec)
    shape = given.shape if isinstance(given, spaces.Box) else ()
    return as_policy(path, _raw_act(module, actions, shape), spec, actions)


def _load(path: Path) -> RLModule:
    from ray.rllib.core.rl_module import MultiRLModule, RLModule

    inside = path / _IN_AN_ALGORITHM
    folder = inside if inside.is_dir() else path
    with quiet():
        module = RLModule.from_checkpoint(str(folder.absolute()))
    if not isinstance(module, MultiRLModule):
        return module
    names = list(module.keys())
    if len(names) != 1:
        raise ValueError(f"it holds several modules ({', '.join(names)}); name the folder of one")
    return module[names[0]]


def _raw_act(module: RLModule, actions: ActionEncoding, shape: tuple[int, ...]) -> RawAct:
    from ray.rllib.core.columns import Columns

    def raw_act(obs: Array) -> Any:
        batch = torch.from_numpy(obs.reshape(len(obs), *shape).copy())
        with torch.no_grad():
            output = module.forward_inference({Columns.OBS: batch})
        return to_actions(module, output, actions)

    return raw_act


def to_actions(module: RLModule, output: Mapping[str, Any], actions: ActionEncoding) -> Array:
    """Return the greedy actions in an output of `forward_inference`, in the environment's space.

    A module that RLlib trained has the learner's numbering. Its continuous actions are scaled from
    [-1, 1] to the bounds, as RLlib does by default (`normalize_actions`).
    """
    from ray.rllib.core.columns import Columns

    from ...rllib.module import greedy_actions

    if Columns.ACTIONS_FOR_ENV in output:
        return np.asarray(output[Columns.ACTIONS_FOR_ENV])
    greedy = greedy_actions(module, output).numpy()
    if actions.num_actions:
        return actions.decode(greedy)
    low, high = (np.array(x, dtype=np.float32) for x in (actions.low, actions.high))
    return actions.decode(low + (greedy.reshape(len(greedy), -1) + 1) * ((high - low) / 2))
