"""torch, imported where something of it is first used.

A learner's file holds its `Config` and is imported to check an experiment: a refusal, or a page of
help, need not wait for the seconds that torch takes.
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
    """Stands for a module of the same name and takes over what is asked of it, once each."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import torch as torch
else:
    torch = _LazyModule("torch")


def inference_mode(function: Callable[P, T]) -> Callable[P, T]:
    """`torch.inference_mode()` as a decorator that does not ask for torch before a call."""

    @functools.wraps(function)
    def without_graph(*args: P.args, **kwargs: P.kwargs) -> T:
        with torch.inference_mode():
            return function(*args, **kwargs)

    return without_graph
