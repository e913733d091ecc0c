"""Gymnasium's MuJoCo robots in lock-step, with exact saving: the base of their families."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Annotated, ClassVar

import gymnasium
import numpy as np
from pydantic import Field

from algorithms.types import AgentState, Dynamics, Spec

from ..common.errors import UserError, one_line
from .episode_seeds import EpisodeSeeds
from .family import EnvFamily
from .mujoco_model import PARAMETERS, Robot, perturbed_model
from .parameters import EnvironmentConfig
from .rendering import RGB
from .sync import SyncVectorEnv

if TYPE_CHECKING:
    from gymnasium.envs.mujoco.mujoco_env import MujocoEnv
    from mujoco import MjData, MjModel

_LOG = logging.getLogger(__name__)


class MujocoConfig(EnvironmentConfig):
    """Keys of every MuJoCo family."""

    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads that step the robots of one worker, and the driver's test grid. The results do not
    depend on it. It pays off if a worker has several agents and as many CPUs (`resources.cpu`)."""


class MujocoVectorEnv(SyncVectorEnv):
    """N robots, of which those with equal dynamics share one compiled model.

    Nothing writes to the model, so threads may step the robots side by side: MuJoCo releases
    Python's global lock while it computes.
    """

    def __init__(
        self,
        spec: Spec,
        robot: Robot,
        dynamics: Dynamics,
        seeds: EpisodeSeeds,
        *,
        retire: bool,
        threads: int = 1,
    ) -> None:
        values = zip(*(dynamics[name].tolist() for name in PARAMETERS), strict=True)
        self._robots = [_robot_env(robot, row) for row in values]
        threads = min(threads, len(self._robots))
        super().__init__(spec, self._robots, seeds, retire=retire, threads=threads)

    def physics_state(self, row: int) -> AgentState:
        """Return the integrator's state and the body positions.

        The body positions lag one simulation step behind the state, and Ant reads them before it
        moves, so they cannot be computed from the state.
        """
        import mujoco

        model, data = self._robots[row].model, self._robots[row].data
        state = np.empty(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_getState(model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        return {"integration": state, "body_positions": data.xpos.copy()}

    def load_physics_state(self, row: int, state: AgentState) -> None:
        """Set the integrator's state and the body positions."""
        import mujoco

        model, data = self._robots[row].model, self._robots[row].data
        integration = np.ascontiguousarray(state["integration"])
        mujoco.mj_setState(model, data, integration, mujoco.mjtState.mjSTATE_INTEGRATION)
        data.xpos[:] = state["body_positions"]


class MujocoFamily(EnvFamily):
    """A family of one MuJoCo robot; a subclass sets `robot` and `spec`."""

    Config = MujocoConfig
    config: MujocoConfig
    parameters = PARAMETERS
    robot: ClassVar[Robot]

    def __init__(self, config: MujocoConfig) -> None:
        super().__init__(config)
        require_mujoco(type(self).__module__.rpartition(".")[2])

    def make(self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool) -> MujocoVectorEnv:
        """Return a vector environment of this robot."""
        return MujocoVectorEnv(
            self.spec, self.robot, dynamics, seeds, retire=retire, threads=self.config.threads
        )

    def render_env(self, dynamics: Dynamics) -> MujocoEnv:
        """Return one robot, which MuJoCo draws."""
        values = tuple(float(dynamics[name][0]) for name in PARAMETERS)
        return _robot_env(self.robot, values, render_mode=RGB)

    def bytes_per_environment(self) -> int:
        """Return the bytes of model, data and wrapper: the hopper takes 1.1 MB, the ant 1.2 MB."""
        return 5 * 2**18


def require_mujoco(name: str) -> None:
    """Raise UserError if MuJoCo is not installed, and send its warnings to the log.

    name: the family that needs it.
    """
    try:
        importlib.import_module("gymnasium.envs.mujoco")
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise UserError(
            f"environment.name: {name} needs MuJoCo; run `pip install fedrl-ray[mujoco]`"
        ) from error
    except Exception as error:  # MUJOCO_GL names a library that is missing
        raise UserError(
            f"environment.name: MuJoCo cannot be imported for {name}: {one_line(error)}; MUJOCO_GL "
            f"is {os.environ.get('MUJOCO_GL')!r}: unset it, as only videos need it, or install "
            "what it names (libegl1 for egl, libosmesa6 for osmesa)"
        ) from None
    log_warnings()


def log_warnings() -> None:
    """Send MuJoCo's warnings to the log, if it is in use.

    Otherwise MuJoCo writes MUJOCO_LOG.TXT into the working directory.
    """
    if "mujoco" in sys.modules:
        import mujoco

        mujoco.set_mju_user_warning(_log_warning)


def _log_warning(message: str) -> None:
    _LOG.log(logging.DEBUG if "deprecated" in message else logging.WARNING, "MuJoCo: %s", message)


def _robot_env(
    robot: Robot, values: tuple[float, ...], *, render_mode: str | None = None
) -> MujocoEnv:
    """Return Gymnasium's environment with a perturbed model in place of the one it would load."""
    import mujoco

    def initialise(self: MujocoEnv) -> tuple[MjModel, MjData]:
        model = perturbed_model(robot, self.fullpath, values)
        return model, mujoco.MjData(model)

    base = robot.load()
    env: MujocoEnv = type(base.__name__, (base,), {"_initialize_simulation": initialise})(
        render_mode=render_mode
    )
    return env
