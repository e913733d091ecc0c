"""The output of a policy of any origin, as actions of our environments."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from algorithms.types import Array, Spec

from ...agents.evaluation import Act
from ...common.errors import UserError, one_line
from ...vector_envs.actions import ActionEncoding

RawAct = Callable[[Array], Any]
"""A function from M observations, [M, S] float32 or [M] int64, to any output of a policy."""


def as_policy(path: Path, raw_act: RawAct, spec: Spec, actions: ActionEncoding) -> Act:
    """Return the policy read from `path`, after calling it once.

    It returns actions of the environment's own space, [M, *shape], or scores [M, A] if the
    environment is discrete. Continuous actions are clipped to the bounds. Raises UserError, now or
    in a later call: it returns something else, or raises.
    """

    def act(obs: Array) -> Array:
        try:
            raw = np.asarray(raw_act(obs))
        except UserError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {one_line(error)}"
            raise UserError(
                f"{path}: failed on observations of this environment, {_of_obs(obs)}: {reason}"
            ) from None
        try:
            return _actions(raw, actions, len(obs))
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None

    act(blank_observations(spec, 2))
    return act


def blank_observations(spec: Spec, rows: int) -> Array:
    """Return zeros in the shape of observations: [rows, S] float32, or [rows] int64 if tabular."""
    if spec.kind == "tabular":
        return np.zeros(rows, dtype=np.int64)
    return np.zeros((rows, spec.obs_size), dtype=np.float32)


def require_size(path: Path, size: int, spec: Spec) -> None:
    """Raise UserError if a policy takes observations of another size."""
    if size != spec.obs_size:
        raise UserError(
            f"{path}: must take observations of {spec.obs_size} numbers, as the environment has; "
            f"got {size}"
        )


def _actions(raw: Array, actions: ActionEncoding, rows: int) -> Array:
    """Return an output as the learner's actions.

    Raises ValueError: its type, shape or value is wrong.
    """
    if not actions.num_actions:
        return _continuous(raw, actions, rows)
    if raw.shape == (rows, actions.num_actions) and raw.dtype.kind == "f":
        return np.asarray(raw.argmax(-1), dtype=np.int64)
    size = math.prod(actions.shape)
    if raw.dtype.kind not in "iu" or raw.shape[:1] != (rows,) or raw.size != rows * size:
        what = "an action number" if size == 1 else f"{size} numbers as the action"
        raise ValueError(
            f"must return {actions.num_actions} scores or {what} for each observation; "
            f"got {_of_answer(raw)}"
        )
    own = raw.reshape(rows, *actions.shape)
    if not all(actions.space.contains(one) for one in own.astype(actions.dtype)):
        raise ValueError(f"must return actions from {_bounds(actions)}")
    return actions.encode(own)


def _bounds(actions: ActionEncoding) -> str:
    facts = actions.describe()
    return f"{facts['low']} to {facts['high']}"


def _continuous(raw: Array, actions: ActionEncoding, rows: int) -> Array:
    size = len(actions.low)
    kinds = "f" if np.issubdtype(actions.dtype, np.floating) else "fiub"
    if raw.dtype.kind not in kinds or raw.shape[:1] != (rows,) or raw.size != rows * size:
        raise ValueError(
            f"must return {size} numbers as the action for each observation; got {_of_answer(raw)}"
        )
    if not np.isfinite(raw).all():
        raise ValueError("must return finite actions")
    return actions.encode(raw.reshape(rows, *actions.shape))


def _of_obs(obs: Array) -> str:
    return "state numbers" if obs.ndim == 1 else f"{obs.shape[1]} numbers each"


def _of_answer(raw: Array) -> str:
    return f"{raw.dtype} {raw.shape}"
