"""The execution profile: two runs give the same bits only under equal profiles."""

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
"""Environment variables that change the compiled code."""
COMPILER_OFF = "NUMBA_DISABLE_JIT"
"""Environment variable that switches the compiler off."""
PACKAGES = ("torch", "numpy", "gymnasium", "scipy", "mujoco", "fedrl-ray")


def device_of(experiment: Mapping[str, Any]) -> str:
    """Return the device of an experiment's (plain data) networks."""
    return str(experiment["learner"].get("device", "cpu"))


def threads_of(experiment: Mapping[str, Any]) -> dict[str, int]:
    """Return an experiment's (plain data) entry for threads that step its environments, if any."""
    threads = experiment["environment"].get("threads", 1)
    return {"environment_threads": threads} if threads > 1 else {}


def compiled_for(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the processor that an experiment's (plain data) kernels are compiled for.

    The compiler's versions and settings come with it. `compiled` is False if torch computes.
    """
    if not experiment["learner"].get("compiled", False) or device_of(experiment) != "cpu":
        return {"compiled": False}
    import llvmlite.binding

    processor = os.environ.get("NUMBA_CPU_NAME") or llvmlite.binding.get_host_cpu_name()
    settings = {name: os.environ[name] for name in COMPILER_SETTINGS if name in os.environ}
    return {"compiled": processor} | settings | versions("numba", "llvmlite")


def execution_profile(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the profile of this process for an experiment (plain data).

    It holds the device, the instruction set, the threads and the versions of the libraries.
    """
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
    """Return the installed version of each package."""
    return {name: _version(name) for name in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def differences(here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    """Return each key that differs, as `torch 2.13.0 here, 2.12.0 there`."""
    keys = sorted(here.keys() | there.keys())
    return [
        f"{key} {here.get(key)} here, {there.get(key)} there"
        for key in keys
        if here.get(key) != there.get(key)
    ]


def unlike_nodes(places: Iterable[Place | None], profile: dict[str, Any]) -> dict[str, str]:
    """Return the law that does not hold if workers run under other profiles than the driver's."""
    found = {p.hostname: differences(p.profile, profile) for p in places if p is not None}
    words = [f"{name}: {'; '.join(changed)}" for name, changed in found.items() if changed]
    if not words:
        return {}
    return {
        "faults": "nodes differ, so an agent that is rebuilt on another may give other bits "
        f"({', '.join(words)}; `there` is the driver's node)"
    }


def require_device(device: str) -> None:
    """Raise UserError if this process has no such device."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            f"learner.device: is cuda, but torch {torch.__version__} finds no GPU on "
            f"{platform.node()}; Ray actors get one by resources.gpu"
        )


def require_compiler(experiment: Mapping[str, Any]) -> None:
    """Raise UserError if an experiment (plain data) needs kernels that may not be compiled here."""
    switch = os.environ.get(COMPILER_OFF, "")
    needed = experiment["learner"].get("compiled", False) and device_of(experiment) == "cpu"
    if needed and switch.strip() not in ("", "0"):
        raise UserError(
            f"{COMPILER_OFF}: must be unset or 0 while learner.compiled is true; got {switch!r}; "
            "--set learner.compiled=false trains without compiled kernels"
        )


def single_thread() -> None:
    """Let torch use one thread: thread counts change bits, and actors fill the cores."""
    import torch

    torch.set_num_threads(1)
