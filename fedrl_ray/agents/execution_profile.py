"""The execution profile: what must be equal for two runs to give the same bits."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from ..common.errors import UserError

if TYPE_CHECKING:
    from .messages import Place

COMPILER_SETTINGS = ("NUMBA_CPU_FEATURES", "NUMBA_OPT")
"""Of the environment; each changes what is compiled."""
PACKAGES = ("torch", "numpy", "gymnasium", "scipy", "mujoco", "fedrl-ray")


def device_of(experiment: Mapping[str, Any]) -> str:
    """Where the networks of an experiment (plain data) live."""
    return str(experiment["learner"].get("device", "cpu"))


def threads_of(experiment: Mapping[str, Any]) -> dict[str, int]:
    """What an experiment (plain data) adds to the profile where threads step its environments."""
    threads = experiment["environment"].get("threads", 1)
    return {"environment_threads": threads} if threads > 1 else {}


def compiled_for(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """The processor that an experiment's (plain data) kernels are compiled for, and by what; False
    where torch computes."""
    if not experiment["learner"].get("compiled", False) or device_of(experiment) != "cpu":
        return {"compiled": False}
    import llvmlite.binding

    processor = os.environ.get("NUMBA_CPU_NAME") or llvmlite.binding.get_host_cpu_name()
    settings = {name: os.environ[name] for name in COMPILER_SETTINGS if name in os.environ}
    return {"compiled": processor} | settings | versions("numba", "llvmlite")


def execution_profile(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """Device, instruction set, threads and the versions of what computes an experiment (plain
    data)."""
    import torch

    return (
        {
            "device": device_of(experiment),
            "machine": platform.machine(),
            "instruction_set": torch.backends.cpu.get_cpu_capability(),
            "threads_per_process": torch.get_num_threads(),
            "python": platform.python_version(),
        }
        | compiled_for(experiment)
        | threads_of(experiment)
        | versions(*PACKAGES)
    )


def versions(*packages: str) -> dict[str, str]:
    """Of packages, by name."""
    return {name: _version(name) for name in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def differences(here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    """Each key that differs, as `torch 2.13.0 here, 2.12.0 there`."""
    keys = sorted(here.keys() | there.keys())
    return [
        f"{key} {here.get(key)} here, {there.get(key)} there"
        for key in keys
        if here.get(key) != there.get(key)
    ]


def unlike_nodes(places: Iterable[Place | None], profile: dict[str, Any]) -> dict[str, str]:
    """The law that does not hold where hosts run under other profiles than the driver's."""
    found = {p.hostname: differences(p.profile, profile) for p in places if p is not None}
    words = [f"{name}: {'; '.join(changed)}" for name, changed in found.items() if changed]
    if not words:
        return {}
    return {
        "faults": "nodes differ, so an agent that is rebuilt on another may give other bits "
        f"({', '.join(words)}; there is the driver's)"
    }


def require_device(device: str) -> None:
    """Raises UserError where this process has no such device."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            f"learner.device is cuda, but torch {torch.__version__} finds none on "
            f"{platform.node()} (resources.gpu gives Ray actors one)"
        )


def single_thread() -> None:
    """One torch thread in this process: thread counts change bits, and actors fill the cores."""
    import torch

    torch.set_num_threads(1)
