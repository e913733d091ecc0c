"""torch, imported when one of its names is first used.

A learner's file holds its `Config` and is imported to check an experiment. An error or a page of
help need not wait for the seconds that importing torch takes.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _LazyModule(ModuleType):
    """Stand-in for the module of the same name; it copies each attribute on first use."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import torch as torch
else:
    torch = _LazyModule("torch")


def inference_mode(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function under `torch.inference_mode()`; torch is imported at its first call."""

    @functools.wraps(function)
    def without_graph(*args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function without recording a graph."""
        with torch.inference_mode():
            return function(*args, **kwargs)

    return without_graph
