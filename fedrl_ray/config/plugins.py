"""Plug-ins are files: a folder listing is the registry, a file name is the name in the YAML."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from typing import Any

from ..common.errors import UserError
from ..common.spelling import nearest

FOLDERS = {
    "learners": ("algorithms.learners", "fedrl_ray.learners"),
    "aggregators": ("algorithms.aggregators",),
    "environments": ("fedrl_ray.environments",),
}
"""Kind of plug-in -> the packages that hold one file per plug-in."""


@cache
def names(kind: str) -> tuple[str, ...]:
    """The plug-ins of a kind, sorted."""
    return tuple(sorted(_modules(kind)))


@cache
def _modules(kind: str) -> dict[str, str]:
    """Name of a plug-in -> its module."""
    packages = [importlib.import_module(package) for package in FOLDERS[kind]]
    return {
        module.name: f"{package.__name__}.{module.name}"
        for package in packages
        for module in pkgutil.iter_modules(package.__path__)
    }


def load(kind: str, name: str, *, key: str = "name") -> type[Any]:
    """The class of a plug-in: the one public class with a `Config` that its file defines.

    Raises UserError for a name that does not exist; `key` is the key to blame.
    """
    if name not in names(kind):
        raise UserError(
            f"{key}: no {kind[:-1]} is called {name!r}{nearest(name, names(kind))}; "
            f"known: {', '.join(names(kind))}"
        )
    module = importlib.import_module(_modules(kind)[name])
    classes = [
        c
        for c in vars(module).values()
        if inspect.isclass(c)
        and c.__module__ == module.__name__
        and hasattr(c, "Config")
        and not c.__name__.startswith("_")
    ]
    assert len(classes) == 1, f"{module.__name__} must define one class with a Config"
    return classes[0]
