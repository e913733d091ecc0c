"""Plug-ins are files: a folder listing is the registry, a file name is the name in the YAML."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, NamedTuple, overload

from algorithms.aggregator import Aggregator
from algorithms.client_sampler import ClientSampler
from algorithms.learner import Learner
from algorithms.server_optimizer import ServerOptimizer

from ..common.errors import UserError
from ..common.spelling import nearest
from ..vector_envs.family import EnvFamily


class Kind(NamedTuple):
    """A kind of plug-in.

    section: its key in an experiment file. base: the contract, a base class. packages: the
    folders that hold one file per plug-in. default: the name if the section is missing.
    """

    section: str
    base: type[Any]
    packages: tuple[str, ...]
    default: str | None = None


KINDS: Mapping[str, Kind] = {
    "learners": Kind("learner", Learner, ("algorithms.learners", "fedrl_ray.learners")),
    "aggregators": Kind("aggregator", Aggregator, ("algorithms.aggregators",), "mean"),
    "server_optimizers": Kind(
        "server_optimizer", ServerOptimizer, ("algorithms.server_optimizers",), "sgd"
    ),
    "client_samplers": Kind(
        "client_sampler", ClientSampler, ("algorithms.client_samplers",), "all"
    ),
    "environments": Kind("environment", EnvFamily, ("fedrl_ray.environments",)),
}
"""Every kind of plug-in, by the name of its folder."""


@cache
def names(kind: str) -> tuple[str, ...]:
    """Return the names of the plug-ins of a kind, sorted."""
    return tuple(sorted(_modules(kind)))


@cache
def _modules(kind: str) -> dict[str, str]:
    """Return the module of each plug-in, by the plug-in's name."""
    packages = [importlib.import_module(package) for package in KINDS[kind].packages]
    return {
        module.name: f"{package.__name__}.{module.name}"
        for package in packages
        for module in pkgutil.iter_modules(package.__path__)
    }


@overload
def load(kind: Literal["learners"], name: str, *, key: str = ...) -> type[Learner]: ...
@overload
def load(kind: Literal["aggregators"], name: str, *, key: str = ...) -> type[Aggregator]: ...
@overload
def load(
    kind: Literal["server_optimizers"], name: str, *, key: str = ...
) -> type[ServerOptimizer]: ...
@overload
def load(kind: Literal["client_samplers"], name: str, *, key: str = ...) -> type[ClientSampler]: ...
@overload
def load(kind: Literal["environments"], name: str, *, key: str = ...) -> type[EnvFamily]: ...
@overload
def load(kind: str, name: str, *, key: str = ...) -> type[Any]: ...
def load(kind: str, name: str, *, key: str = "name") -> type[Any]:
    """Return the class of a plug-in: the one public subclass of its kind's base in its file.

    Raises UserError for a name that does not exist; `key` is the key that the error names.
    """
    if name not in names(kind):
        raise UserError(
            f"{key}: no {kind[:-1].replace('_', ' ')} is called {name!r}"
            f"{nearest(name, names(kind))}; known: {', '.join(names(kind))}"
        )
    return _class_of(kind, name)


@cache
def _class_of(kind: str, name: str) -> type[Any]:
    module_name, base = _modules(kind)[name], KINDS[kind].base
    module = importlib.import_module(module_name)
    classes = [
        c
        for c in vars(module).values()
        if inspect.isclass(c)
        and c.__module__ == module.__name__
        and issubclass(c, base)
        and not c.__name__.startswith("_")
    ]
    assert len(classes) == 1, f"{module_name} must define one public subclass of {base.__name__}"
    return classes[0]
