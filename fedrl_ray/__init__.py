"""Robust federated reinforcement learning on Ray.

`load` reads an experiment file; `Driver` runs it round by round; `Run` adds a run directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config.loading import load
    from .federation.driver import Driver
    from .runs.run import Run

__all__ = ["Driver", "Run", "load"]

_HOMES = {"Driver": "federation.driver", "Run": "runs.run", "load": "config.loading"}


def __getattr__(name: str) -> Any:
    """Imported on first use: the command line answers before torch is loaded."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
