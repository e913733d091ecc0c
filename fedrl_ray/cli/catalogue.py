"""Texts of `list` and `describe`, made from the plug-ins themselves."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from algorithms.learner import Learner

from ..chaos import fault as faults
from ..common.errors import UserError
from ..common.spelling import several_nearest
from ..config import plugins
from ..config.presets import presets
from ..config.schema import CheckpointConfig, EvaluationConfig, FederationConfig
from ..config.sweep import SweepConfig
from ..config.validation_errors import models_inside
from ..ray_cluster.resources import ResourcesConfig
from ..vector_envs.family import EnvFamily
from ..vector_envs.parameters import Parameter
from ..vector_envs.tabular import TabularFamily

SECTIONS: dict[str, type[BaseModel]] = {
    "federation": FederationConfig,
    "evaluation": EvaluationConfig,
    "checkpoint": CheckpointConfig,
    "resources": ResourcesConfig,
    "sweep": SweepConfig,
}


def catalogue() -> str:
    """Return every plug-in and fault with the first line of its docstring, and every preset."""
    lines = []
    for kind in plugins.KINDS:
        rows = {name: _summary(plugins.load(kind, name)) for name in plugins.names(kind)}
        lines += [f"{kind}:", *_columns(rows)]
    lines += ["faults:", *_columns({name: _summary(faults.load(name)) for name in faults.names()})]
    lines += ["presets:", *_columns({name: str(path) for name, path in presets().items()})]
    return "\n".join([*lines, "", "describe NAME shows the keys; sections: " + ", ".join(SECTIONS)])


def _columns(rows: Mapping[str, str]) -> list[str]:
    """Return one line per row: its name, and two blanks after the longest name its text."""
    width = max(map(len, rows), default=0)
    return [f"  {name:<{width}}  {text}" for name, text in rows.items()]


def describe(name: str) -> str:
    """Return the keys of a plug-in or section with default and meaning, or the text of a preset.

    Raise UserError if the name is none of them.
    """
    if name in SECTIONS:
        return "\n".join([_doc(SECTIONS[name]), "", "keys:", *_keys(SECTIONS[name])])
    for kind in plugins.KINDS:
        if name in plugins.names(kind):
            return _plugin(kind, name)
    if name in presets():
        return presets()[name].read_text(encoding="utf-8").rstrip()
    known = [n for kind in plugins.KINDS for n in plugins.names(kind)]
    everything = [*SECTIONS, *known, *presets()]
    raise UserError(
        f"no plug-in, section or preset is called {name!r}"
        f"{several_nearest(name, everything)}; see `fedrl-ray list`"
    )


def _plugin(kind: str, name: str) -> str:
    cls = plugins.load(kind, name)
    lines = [f"{name} ({kind[:-1]})", "", _doc(cls), "", "keys:", *_keys(cls.Config)]
    if issubclass(cls, EnvFamily):
        lines += [*_parameters(cls), *_learners_that_fit(cls)]
    if issubclass(cls, Learner):
        lines += _environments_that_fit(cls)
    exemptions = cls.exemptions or {}
    lines += ["", "laws that do not hold here:"] if exemptions else []
    lines += [f"  {law}: {reason}" for law, reason in exemptions.items()]
    return "\n".join(lines)


def _parameters(family: type[EnvFamily]) -> list[str]:
    """Return the physical parameters of a family under a heading, or nothing."""
    rows = {name: _parameter(p) for name, p in family.parameters.items()}
    return ["", "physical parameters (environment.perturb):", *_columns(rows)] if rows else []


def _parameter(p: Parameter) -> str:
    unit = f" {p.unit}" if p.unit else ""
    return f"nominal {p.nominal:g}{unit}, legal [{p.low:g}, {p.high:g}]: {p.meaning}"


def _learners_that_fit(family: type[EnvFamily]) -> list[str]:
    """Return the learners for each kind that the environments of a family may have."""
    rows = {kind: ", ".join(_learners_of(kind)) or "none" for kind in spec_kinds(family)}
    return ["", "learners that fit, by the kind of the environment:", *_columns(rows)]


def _learners_of(kind: str) -> list[str]:
    names = plugins.names("learners")
    return [name for name in names if kind in plugins.load("learners", name).spec_kinds]


def _environments_that_fit(learner: type[Learner]) -> list[str]:
    """Return the environments on which a learner learns, for each kind of them."""
    families = {name: plugins.load("environments", name) for name in plugins.names("environments")}
    kinds = {name: spec_kinds(family) for name, family in families.items()}
    rows: dict[str, str] = {
        kind: ", ".join(name for name in families if kind in kinds[name]) or "none"
        for kind in learner.spec_kinds
    }
    return ["", "environments that fit, by their kind:", *_columns(rows)]


def spec_kinds(family: type[EnvFamily]) -> tuple[str, ...]:
    """Return the kinds of `Spec` that the environments of a family may have.

    They are several if the user's own environment, named in a required key, decides.
    """
    if issubclass(family, TabularFamily):
        return ("tabular",)
    spec = getattr(family, "spec", None)
    return ("discrete", "continuous") if spec is None else (spec.kind,)


def _keys(model: type[BaseModel], indent: str = "  ") -> list[str]:
    """Return lines for each key: default, meaning, and the keys of a mapping that it may hold."""
    lines = []
    for name, field in model.model_fields.items():
        lines.append(f"{indent}{name} = {_default(field)}")
        lines.append(f"{indent}    {' '.join((field.description or '').split())}")
        for inner in models_inside(field.annotation):
            lines.append(f"{indent}    as a mapping ({inner.__name__}):")
            lines += _keys(inner, indent + "      ")
    return lines or [f"{indent}none"]


def _default(field: Any) -> str:
    if field.default is PydanticUndefined:
        return "(required)" if field.default_factory is None else str(field.default_factory())
    default = field.default
    return str(default.model_dump()) if isinstance(default, BaseModel) else repr(default)


def _doc(cls: type[Any]) -> str:
    return inspect.cleandoc(cls.__doc__ or "")


def _summary(cls: type[Any]) -> str:
    return _doc(cls).split("\n")[0]
