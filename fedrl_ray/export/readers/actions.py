"""What a policy of any origin answers, as actions of an environment of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from algorithms.types import Array, Spec

from ...agents.evaluation import Act
from ...common.errors import UserError, one_line

RawAct = Callable[[Array], Any]
"""Observations of M rows, [M, S] float32 or [M] int64, to whatever a policy gives for them."""


def as_policy(path: Path, raw_act: RawAct, spec: Spec) -> Act:
    """A policy read from `path`, tried out. It may give action numbers [M] or scores [M, A] of a
    discrete environment, actions [M, A] of a continuous one, which are clipped to the bounds.

    Raises UserError, now or later, where it gives something else, or raises.
    """

    def act(obs: Array) -> Array:
        try:
            raw = np.asarray(raw_act(obs))
        except UserError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {one_line(error)}"
            raise UserError(
                f"{path}: fails on observations of this environment, {_of_obs(obs)}: {reason}"
            ) from None
        try:
            return _actions(raw, spec, len(obs))
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None

    act(blank_observations(spec, 2))
    return act


def blank_observations(spec: Spec, rows: int) -> Array:
    """Zeros in the shape of observations: [rows, S] float32, or [rows] int64 when tabular."""
    if spec.kind == "tabular":
        return np.zeros(rows, dtype=np.int64)
    return np.zeros((rows, spec.obs_size), dtype=np.float32)


def require_size(path: Path, size: int, spec: Spec) -> None:
    """Raises UserError for a policy that takes observations of another size."""
    if size != spec.obs_size:
        raise UserError(
            f"{path}: takes observations of {size} numbers, but the environment's have "
            f"{spec.obs_size}"
        )


def _actions(raw: Array, spec: Spec, rows: int) -> Array:
    """Raises ValueError."""
    if spec.kind == "continuous":
        return _continuous(raw, spec, rows)
    if raw.shape == (rows, spec.num_actions) and raw.dtype.kind == "f":
        return np.asarray(raw.argmax(-1), dtype=np.int64)
    if raw.dtype.kind not in "iu" or raw.shape not in ((rows,), (rows, 1)):
        raise ValueError(
            f"must give {spec.num_actions} scores or the number of an action for each observation, "
            f"got {_of_answer(raw)}"
        )
    numbers = raw.reshape(rows).astype(np.int64)
    if not ((numbers >= 0) & (numbers < spec.num_actions)).all():
        raise ValueError(f"gives actions outside of 0 to {spec.num_actions - 1}")
    return numbers


def _continuous(raw: Array, spec: Spec, rows: int) -> Array:
    size = len(spec.action_low)
    if raw.dtype.kind != "f" or raw.shape[:1] != (rows,) or raw.size != rows * size:
        raise ValueError(
            f"must give {size} numbers as the action for each observation, got {_of_answer(raw)}"
        )
    if not np.isfinite(raw).all():
        raise ValueError("gives actions that are not finite")
    actions = raw.reshape(rows, size).astype(np.float32)
    return actions.clip(spec.action_low, spec.action_high, dtype=np.float32)


def _of_obs(obs: Array) -> str:
    return "numbers of states" if obs.ndim == 1 else f"{obs.shape[1]} numbers each"


def _of_answer(raw: Array) -> str:
    return f"{raw.dtype} {raw.shape}"
