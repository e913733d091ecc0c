"""The execution profile: what must be equal for two runs to give the same bits."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .messages import Place

PACKAGES = ("torch", "numpy", "gymnasium", "scipy", "mujoco", "fedrl-ray")


def execution_profile() -> dict[str, Any]:
    """Device, instruction set, threads and the versions of what computes."""
    import torch

    return {
        "device": "cpu",
        "machine": platform.machine(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads_per_process": torch.get_num_threads(),
        "denormals": "kept" if torch.full((1,), 1e-40).mul(1.0).any() else "zero",
        "compiled": False,
        "python": platform.python_version(),
    } | versions(*PACKAGES)


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


def settle_arithmetic() -> None:
    """One torch thread in this process, and denormal numbers taken for zero in this thread.

    Thread counts change bits, and actors fill the cores. Adam's moments of parameters that get no
    gradient any more fade into denormals, with which processors are slow.
    """
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
