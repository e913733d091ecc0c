"""Single environments that draw themselves, for a recorder of videos.

Each gives the same bits as a row of a vector environment, whatever it is drawn with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np

from algorithms.draws import Role
from algorithms.types import Array

from .episode_seeds import EpisodeSeeds
from .episodes import EpisodicVectorEnv
from .sync import ScalarEnv

RGB = "rgb_array"
"""Gymnasium's render mode that returns a picture, [H, W, 3] uint8."""


class DrawnEnv(gymnasium.Env[Any, Any]):
    """A single environment, and a function that draws it.

    draw: returns the picture of the present state, [H, W, 3] uint8. metadata: Gymnasium's, of which
    `render_fps` is used.
    """

    render_mode = RGB

    def __init__(
        self, env: ScalarEnv, draw: Callable[[], Any], metadata: Mapping[str, Any]
    ) -> None:
        self._env, self._draw = env, draw
        self.metadata = dict(metadata)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start the episode of a seed, which must be given."""
        if seed is None:
            raise ValueError("seed: must be given; got None")
        obs, info = self._env.reset(seed=seed)
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take one step and return Gymnasium's five values."""
        obs, reward, terminated, truncated, info = self._env.step(action)
        return obs, reward, terminated, truncated, info

    def render(self) -> Any:
        """Return the picture of the present state."""
        return self._draw()

    def close(self) -> None:
        """Release the resources of the environment."""
        self._env.close()


class RowEnv:
    """A vector environment of one row as a single environment, for families with vector physics.

    make: builds the vector environment. show: told the state of the row (`physics_state` and
    `obs`) and the last action, None after a reset, before each picture.
    """

    def __init__(
        self,
        make: Callable[[EpisodeSeeds], EpisodicVectorEnv],
        show: Callable[[Mapping[str, Array], Any], None],
    ) -> None:
        self._make, self._show = make, show
        self._rows: EpisodicVectorEnv | None = None

    def reset(self, *, seed: int) -> tuple[Any, dict[str, Any]]:
        """Start the episode of a seed."""
        self.close()
        self._rows = self._make(_OneEpisode(seed))
        self._tell(self._rows, None)
        return self._rows.obs[0], {}

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Take one step; the time limit counts as truncation."""
        rows = self._rows
        assert rows is not None, "reset comes first"
        transition = rows.step(np.asarray(action)[None])
        self._tell(rows, action)
        terminated, over = bool(transition.terminated[0]), bool(rows.finished[0])
        return rows.obs[0], rows.reward[0], terminated, over and not terminated, {}

    def close(self) -> None:
        """Close the vector environment."""
        if self._rows is not None:
            self._rows.close()

    def _tell(self, rows: EpisodicVectorEnv, action: Any) -> None:
        self._show({**rows.physics_state(0), "obs": rows.obs[0]}, action)


class _OneEpisode(EpisodeSeeds):
    """The given seed, for one row and one episode."""

    def __init__(self, seed: int) -> None:
        super().__init__(0, Role.EVALUATION, [0], [0])
        self._only = seed

    def seed(self, row: int, episode: int) -> int:
        """Return the given seed."""
        return self._only
