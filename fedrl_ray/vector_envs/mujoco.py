"""What the MuJoCo robots share: stacks of them, and exact saving. They are Gymnasium's own."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
from pydantic import Field

from algorithms.types import AgentState, Dynamics, Spec

from ..common.errors import UserError
from .episodes import EpisodeSeeds
from .family import EnvFamily
from .mujoco_model import PARAMETERS, Robot, perturbed_model
from .parameters import EnvironmentConfig
from .sync import SyncVectorEnv

_LOG = logging.getLogger(__name__)


class MujocoConfig(EnvironmentConfig):
    """Keys of every MuJoCo family."""

    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads that step the robots of one actor, and the driver's test grid; the results are the
    same. Worth it where an actor has as many CPUs and hosts several agents: `resources.cpu`."""


class MujocoVectorEnv(SyncVectorEnv):
    """N robots. Rows with the same dynamics share one compiled model, which nothing writes to, so
    threads may step them side by side; MuJoCo holds no lock of Python's while it computes."""

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
        envs = [_robot_env(robot, row) for row in values]
        super().__init__(spec, envs, seeds, retire=retire, threads=min(threads, len(envs)))

    def physics_state(self, row: int) -> AgentState:
        """The integrator's state, and the body positions: they lag one simulation step behind
        and Ant reads them before it moves, so they cannot be computed again."""
        import mujoco

        model, data = self._envs[row].model, self._envs[row].data
        state = np.empty(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_getState(model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        return {"integration": state, "body_positions": data.xpos.copy()}

    def load_physics_state(self, row: int, state: AgentState) -> None:
        """Both go back as they were."""
        import mujoco

        model, data = self._envs[row].model, self._envs[row].data
        integration = np.ascontiguousarray(state["integration"])
        mujoco.mj_setState(model, data, integration, mujoco.mjtState.mjSTATE_INTEGRATION)
        data.xpos[:] = state["body_positions"]


class MujocoFamily(EnvFamily):
    """One robot of Gymnasium: subclasses set `robot` and `spec`."""

    Config = MujocoConfig
    parameters = PARAMETERS
    robot: ClassVar[Robot]

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        require_mujoco(type(self).__module__.rpartition(".")[2])

    def make(self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool) -> MujocoVectorEnv:
        """A stack of this robot."""
        return MujocoVectorEnv(
            self.spec, self.robot, dynamics, seeds, retire=retire, threads=self.config.threads
        )

    def bytes_per_environment(self) -> int:
        """Model, data and Gymnasium's own: 1.1 MB of the hopper, 1.2 MB of the ant, measured."""
        return 5 * 2**18


def require_mujoco(name: str) -> None:
    """Raises UserError where MuJoCo is not installed; sends its warnings to the log."""
    try:
        importlib.import_module("gymnasium.envs.mujoco")
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise UserError(
            f"environment.name: {name} needs MuJoCo; run `pip install fedrl-ray[mujoco]`"
        ) from error
    log_warnings()


def log_warnings() -> None:
    """Where MuJoCo is in use its warnings go to the log: it would write MUJOCO_LOG.TXT into the
    working directory."""
    if "mujoco" in sys.modules:
        importlib.import_module("mujoco").set_mju_user_warning(_log_warning)


def _log_warning(message: str) -> None:
    _LOG.log(logging.DEBUG if "deprecated" in message else logging.WARNING, "MuJoCo: %s", message)


def _robot_env(robot: Robot, values: tuple[float, ...]) -> Any:
    """Gymnasium's environment, with a model of ours in place of the one it would load."""
    import mujoco

    def initialise(self: Any) -> tuple[Any, Any]:
        model = perturbed_model(robot, self.fullpath, values)
        return model, mujoco.MjData(model)

    module, name = robot.env.split(":")
    base = getattr(importlib.import_module(module), name)
    return type(name, (base,), {"_initialize_simulation": initialise})()
