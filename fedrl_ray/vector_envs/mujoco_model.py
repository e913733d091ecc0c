"""The perturbed model of a MuJoCo robot.

A parameter changes the source of the model (MjSpec), which is then compiled again, so that
inertias and every derived constant follow.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .parameters import Parameter

_RATIO = "x nominal"

PARAMETERS: Mapping[str, Parameter] = {
    "gravity": Parameter(9.81, "m/s^2", 0.1, 100.0, "gravitational acceleration"),
    "torso_mass": Parameter(1.0, _RATIO, 0.05, 20.0, "mass of the torso; its inertia follows"),
    "friction": Parameter(1.0, _RATIO, 0.05, 20.0, "friction of every contact"),
    "joint_damping": Parameter(1.0, _RATIO, 0.0, 20.0, "damping of every joint"),
    "actuator_strength": Parameter(1.0, _RATIO, 0.05, 20.0, "torque of every motor"),
    "limb_length": Parameter(1.0, _RATIO, 0.25, 2.0, "length of the limbs named by the family"),
}
"""Of every robot. Friction scales all three coefficients of all geoms, the floor's too, because
MuJoCo takes the larger of the two in contact. Damping scales what the model has: root joints have
none."""


class Robot(NamedTuple):
    """Where Gymnasium keeps a robot, and what `limb_length` means for it."""

    env: str
    """Module and class."""
    limbs: tuple[str, ...]
    """Geoms of the bodies that `limb_length` scales."""
    reach: float
    """How far down such a limb reaches in the start pose, in m."""


@functools.lru_cache(maxsize=64)
def perturbed_model(robot: Robot, path: str, values: tuple[float, ...]) -> Any:
    """The compiled model of one robot; `values` in the order of PARAMETERS."""
    spec = _source(path).copy()
    perturb = dict(zip(PARAMETERS, values, strict=True))
    spec.option.gravity = [0.0, 0.0, -perturb["gravity"]]
    _scale(spec.body("torso").geoms, "density", perturb["torso_mass"])
    _scale(spec.geoms, "friction", perturb["friction"])
    _scale(spec.joints, "damping", perturb["joint_damping"])
    _scale(spec.actuators, "gear", perturb["actuator_strength"])
    _scale_limbs(spec, robot, perturb["limb_length"])
    _keep_densities(spec, _source(path))
    return _compile(spec)


@functools.lru_cache(maxsize=8)
def _source(path: str) -> Any:
    """The parsed source of Gymnasium's model."""
    import mujoco
    from gymnasium.envs.mujoco.mujoco_env import DEFAULT_SIZE

    with _quiet():
        spec = mujoco.MjSpec.from_file(path)
    spec.visual.global_.offwidth = spec.visual.global_.offheight = DEFAULT_SIZE
    return spec


def _compile(spec: Any) -> Any:
    with _quiet():
        return spec.compile()


@contextmanager
def _quiet() -> Iterator[None]:
    """Gymnasium's HalfCheetah uses a deprecated attribute; its users cannot help that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _scale(elements: Any, attribute: str, factor: float) -> None:
    for element in elements:
        setattr(element, attribute, getattr(element, attribute) * factor)


def _scale_limbs(spec: Any, robot: Robot, factor: float) -> None:
    """Stretch bodies along their axis; the torso starts higher by what they gain in reach, and
    its height coordinate says so, so that feet start as far above the floor as they did."""
    for geom in robot.limbs:
        _scale_body(spec.geom(geom).parent, factor)
    rise = (factor - 1) * robot.reach
    torso = spec.body("torso")
    torso.pos = torso.pos + np.array([0.0, 0.0, rise])
    for joint in torso.joints:
        if joint.name == "rootz":
            joint.ref += rise


def _scale_body(body: Any, factor: float) -> None:
    """Stretch capsules and the place of the next joint; radius and own joint stay in place."""
    for geom in body.geoms:
        geom.pos, geom.fromto = geom.pos * factor, geom.fromto * factor
        geom.size = geom.size * np.array([1.0, factor, 1.0])
    for child in body.bodies:
        child.pos = child.pos + (factor - 1) * (child.pos + child.joints[0].pos)
    body.pos = body.pos - (factor - 1) * body.joints[0].pos
    for joint in body.joints:
        joint.pos = joint.pos * factor


def _keep_densities(spec: Any, source: Any) -> None:
    """HalfCheetah's source fixes the total mass: without this a heavier torso would make every
    other body lighter."""
    if spec.compiler.settotalmass > 0:
        spec.compiler.settotalmass *= _own_mass(spec) / _own_mass(source)


def _own_mass(spec: Any) -> float:
    """Total mass by the densities alone, in kg."""
    copy = spec.copy()
    copy.compiler.settotalmass = -1
    return float(_compile(copy).body_mass.sum())
