"""The perturbed model of a MuJoCo robot.

A parameter changes the source of the model (MjSpec). MuJoCo then compiles the source again, which
derives the inertias and all other constants from it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .parameters import Parameter

if TYPE_CHECKING:
    from gymnasium.envs.mujoco.mujoco_env import MujocoEnv
    from mujoco import MjModel, MjsBody, MjSpec

_RATIO = "x nominal"

PARAMETERS: Mapping[str, Parameter] = {
    "gravity": Parameter(9.81, "m/s^2", 0.1, 100.0, "gravitational acceleration"),
    "torso_mass": Parameter(1.0, _RATIO, 0.05, 20.0, "mass of the torso; its inertia follows"),
    "friction": Parameter(1.0, _RATIO, 0.05, 20.0, "friction of every contact"),
    "joint_damping": Parameter(1.0, _RATIO, 0.0, 20.0, "damping of every joint"),
    "actuator_strength": Parameter(1.0, _RATIO, 0.05, 20.0, "torque of every motor"),
    "limb_length": Parameter(1.0, _RATIO, 0.25, 2.0, "length of the limbs named by the family"),
}
"""Physical parameters of every robot.

Friction scales all three coefficients of all geoms, including the floor's, because MuJoCo takes
the larger of two geoms in contact. Damping scales the model's values; root joints have none.
"""


class Robot(NamedTuple):
    """A robot of Gymnasium, and the meaning of `limb_length` for it."""

    load: Callable[[], type[MujocoEnv]]
    """Imports Gymnasium's class of the robot, which needs MuJoCo, and returns it."""
    limbs: tuple[str, ...]
    """Geoms of the bodies that `limb_length` scales."""
    reach: float
    """Height in the start pose that the torso gains when `limb_length` doubles, in m."""


@functools.lru_cache(maxsize=64)
def perturbed_model(robot: Robot, path: str, values: tuple[float, ...]) -> MjModel:
    """Return the compiled model of a robot, with `values` in the order of PARAMETERS."""
    spec = _source(path).copy()
    perturb = dict(zip(PARAMETERS, values, strict=True))
    spec.option.gravity = [0.0, 0.0, -perturb["gravity"]]
    for part in spec.body("torso").geoms:
        part.density = part.density * perturb["torso_mass"]
    for geom in spec.geoms:
        geom.friction = geom.friction * perturb["friction"]
    for joint in spec.joints:
        joint.damping = joint.damping * perturb["joint_damping"]
    for actuator in spec.actuators:
        actuator.gear = actuator.gear * perturb["actuator_strength"]
    _scale_limbs(spec, robot, perturb["limb_length"])
    _keep_densities(spec, _source(path))
    return _compile(spec)


@functools.lru_cache(maxsize=8)
def _source(path: str) -> MjSpec:
    """Return the parsed source of Gymnasium's model."""
    import mujoco
    from gymnasium.envs.mujoco.mujoco_env import DEFAULT_SIZE

    with _quiet():
        spec = mujoco.MjSpec.from_file(path)
    spec.visual.global_.offwidth = spec.visual.global_.offheight = DEFAULT_SIZE
    return spec


def _compile(spec: MjSpec) -> MjModel:
    with _quiet():
        return spec.compile()


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore warnings of a deprecated attribute in Gymnasium's HalfCheetah; users cannot fix it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _scale_limbs(spec: MjSpec, robot: Robot, factor: float) -> None:
    """Stretch the limbs along their axes, and raise the torso by the reach that they gain.

    The feet then start as far above the floor as before. The torso's height coordinate rises too.
    """
    for geom in robot.limbs:
        _scale_body(spec.geom(geom).parent, factor)
    rise = (factor - 1) * robot.reach
    torso = spec.body("torso")
    torso.pos = torso.pos + np.array([0.0, 0.0, rise])
    for joint in torso.joints:
        if joint.name == "rootz":
            joint.ref += rise


def _scale_body(body: MjsBody, factor: float) -> None:
    """Stretch capsules and move the next joint; the radius and the body's own joint stay."""
    for geom in body.geoms:
        geom.pos, geom.fromto = geom.pos * factor, geom.fromto * factor
        geom.size = geom.size * np.array([1.0, factor, 1.0])
    for child in body.bodies:
        child.pos = child.pos + (factor - 1) * (child.pos + child.joints[0].pos)
    body.pos = body.pos - (factor - 1) * body.joints[0].pos
    for joint in body.joints:
        joint.pos = joint.pos * factor


def _keep_densities(spec: MjSpec, source: MjSpec) -> None:
    """Scale the total mass that HalfCheetah's source fixes.

    Otherwise a heavier torso would make every other body lighter.
    """
    if spec.compiler.settotalmass > 0:
        spec.compiler.settotalmass *= _own_mass(spec) / _own_mass(source)


def _own_mass(spec: MjSpec) -> float:
    """Return the total mass that follows from the densities alone, in kg."""
    copy = spec.copy()
    copy.compiler.settotalmass = -1
    return float(_compile(copy).body_mass.sum())
