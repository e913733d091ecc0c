"""Ways to resume a user's environment, found by trying them."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import gymnasium
import numpy as np
from gymnasium.wrappers import TimeLimit

from algorithms.types import Spec

from .adapter import UserEnv
from .checks import trial_actions
from .vector_env import Resume, SavesState, UserVectorEnv, own_state

_LOG = logging.getLogger(__name__)


def find_resume(
    make: Callable[[Spec, Resume], UserVectorEnv], spec: Spec, steps: int, *, saves: bool
) -> Resume | None:
    """Return the first way to resume that leads to the same observations; None if there is none.

    saves: the result of `saves_itself`. Episodes are cut short, so that state which survives a
    reset shows too: the resumed row is reset twice in the trial, the saved row at least three
    times.
    """
    short = replace(spec, max_episode_steps=min(spec.max_episode_steps, steps // 8 + 1))
    ways: tuple[Resume, ...] = ("state", "replay") if saves else ("replay",)
    return next((way for way in ways if _resumes(make, short, way, steps)), None)


def saves_itself(env: UserEnv) -> bool:
    """Return true if `get_state` and `set_state` may serve.

    They do not reach a step counter in a TimeLimit wrapper.
    """
    wrapper = env.env
    while isinstance(wrapper, gymnasium.Wrapper):
        if isinstance(wrapper, TimeLimit):
            return False
        wrapper = wrapper.env
    if not isinstance(wrapper, SavesState):
        return False
    if own_state(env) is None:
        _LOG.warning(
            "environment: get_state is not used, because it returns no dict of arrays or numbers"
        )
        return False
    return True


@functools.cache
def warn_of_inexact_resume() -> None:
    """Log that a replay led to another observation, once per process."""
    _LOG.warning("environment: resume is not exact, because a replay led to another observation")


def _resumes(
    make: Callable[[Spec, Resume], UserVectorEnv], spec: Spec, way: Resume, steps: int
) -> bool:
    """Return true if a second environment goes on like the first one, which is closed before."""
    actions = [action[None] for action in trial_actions(spec, steps)]
    early, late = actions[: steps // 2], actions[steps // 2 :]
    with closing(make(spec, way)) as first:
        for action in early:
            first.step(action)
        state = first.agent_state(0)
        wanted = [first.step(action) for action in late]
    with closing(make(spec, way)) as second:
        second.load_agent_state(0, state)
        return all(
            np.array_equal(a, b, equal_nan=True)
            for action, seen in zip(late, wanted, strict=True)
            for a, b in zip(seen, second.step(action), strict=True)
        )
