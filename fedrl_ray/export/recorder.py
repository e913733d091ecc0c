"""Record one episode as a video, with Gymnasium's recorder."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from ctypes.util import find_library
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled
from gymnasium.wrappers import RecordVideo

from algorithms.types import Array

from ..common.errors import RunError, UserError, one_line
from ..common.modules import is_installed

PACKAGES = ("moviepy", "pygame")
"""Packages of the extra `video`: they write the file, and draw Gymnasium's environments."""
INSTALL = "pip install 'fedrl-ray[video]'"
_LIBRARIES = {"egl": "EGL", "osmesa": "OSMesa"}
"""Values of MUJOCO_GL that need no screen, and the library of the system that each needs."""
MOST_BYTES = 2**31
"""Bytes of the pictures of an episode, which Gymnasium's recorder holds until its end."""


class Recorded(NamedTuple):
    """A recorded episode: the sum of its rewards, its steps, and pictures per second."""

    episode_return: float
    steps: int
    frames_per_second: float


def prepare() -> None:
    """Let drawing libraries work without a screen. Raises UserError if a package is missing."""
    missing = [name for name in PACKAGES if not is_installed(name)]
    if missing:
        raise UserError(f"video needs {' and '.join(missing)}; run `{INSTALL}`")
    settings = {"PYGAME_HIDE_SUPPORT_PROMPT": "1", "SDL_AUDIODRIVER": "dummy"}
    if "DISPLAY" not in os.environ and "WAYLAND_DISPLAY" not in os.environ:
        settings["SDL_VIDEODRIVER"] = "dummy"
        installed = [gl for gl, library in _LIBRARIES.items() if find_library(library)]
        settings |= {"MUJOCO_GL": installed[0]} if installed else {}
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def record(
    env: gymnasium.Env[Any, Any], seed: int, actions: Iterable[Array], path: Path
) -> Recorded:
    """Play the actions from a seed's reset until the episode or they end; write the mp4 `path`.

    Raises UserError: the environment cannot be drawn. Raises RunError: the file cannot be written.
    """
    folder = path.with_suffix("")  # the recorder warns if its folder exists
    recorder: Any = RecordVideo(Pictures(env), str(folder), episode_trigger=lambda _: True)
    try:
        played = _play(recorder, seed, actions)
    except BaseException:
        recorder.recorded_frames.clear()  # or closing would write them
        env.close()  # type: ignore[no-untyped-call]
        raise
    try:
        recorder.close()  # writes the file
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {one_line(error)}") from None
    (written,) = folder.iterdir()
    written.replace(path)
    return Recorded(*played, recorder.frames_per_sec)


def _play(env: gymnasium.Env[Any, Any], seed: int, actions: Iterable[Array]) -> tuple[float, int]:
    """Return the sum of the rewards, in the order of an evaluation, and the number of steps."""
    total, steps = np.float64(0.0), 0
    env.reset(seed=seed)
    for action in actions:
        _, reward, terminated, truncated, _ = env.step(action)
        total, steps = total + np.float64(reward), steps + 1
        if terminated or truncated:
            break
    return float(total), steps


class Pictures(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Checks every picture, and thins out those of a long episode.

    A picture that is left out is replaced by the one before, which takes no memory: once half of
    MOST_BYTES is used every second picture is taken, then every fourth and so on. Sides are even,
    because players of the usual encoding need that.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._last: Array | None = None
        self._asked, self._every, self._bytes = 0, 1, 0

    def render(self) -> Any:
        """Return the picture of this step, or the one before: [H, W, 3] uint8."""
        if self._last is None or self._asked % self._every == 0:
            self._last = self._drawn()
            self._bytes += self._last.nbytes
            if self._bytes > MOST_BYTES * (1 - 1 / (2 * self._every)):
                self._every *= 2
        self._asked += 1
        return self._last

    def _drawn(self) -> Array:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what matters fails
                picture: Any = self.env.render()
        except UserError:
            raise
        except DependencyNotInstalled as error:
            raise UserError(f"video: {one_line(error)}; or `{INSTALL}`") from None
        except Exception as error:
            raise UserError(
                f"video: render raised {type(error).__name__}: {one_line(error)}{_graphics_hint()}"
            ) from None
        even = _even(_checked(picture))
        if self._last is not None and even.shape != self._last.shape:
            raise UserError(
                f"video: render must return pictures of one size; got {even.shape} after "
                f"{self._last.shape}"
            )
        return even


def _checked(picture: Any) -> Array:
    what = type(picture).__name__
    if isinstance(picture, np.ndarray):
        if picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8:
            return picture
        what = f"{picture.dtype} of shape {picture.shape}"
    raise UserError(f"video: render must return an array [H, W, 3] of uint8; got {what}")


def _even(picture: Array) -> Array:
    height, width, _ = picture.shape
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _graphics_hint() -> str:
    """Return the remedy if MuJoCo draws, which needs a library of the system."""
    if "mujoco" not in sys.modules:
        return ""
    backend = os.environ.get("MUJOCO_GL", "glfw")
    return (
        f"; MuJoCo draws with MUJOCO_GL={backend} here: install libegl1 and set MUJOCO_GL=egl, "
        "or install libosmesa6 and set MUJOCO_GL=osmesa"
    )
