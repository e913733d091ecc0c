"""Texts of `list` and `describe`, made from the plug-ins themselves."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from ..chaos import fault as faults
from ..common.errors import UserError
from ..common.spelling import nearest
from ..config import plugins
from ..config.schema import CheckpointConfig, EvaluationConfig, FederationConfig
from ..config.sweep import SweepConfig
from ..config.validation_errors import models_inside
from ..ray_cluster.resources import ResourcesConfig
from ..vector_envs.family import EnvFamily

SECTIONS: dict[str, type[BaseModel]] = {
    "federation": FederationConfig,
    "evaluation": EvaluationConfig,
    "checkpoint": CheckpointConfig,
    "resources": ResourcesConfig,
    "sweep": SweepConfig,
}


def presets() -> dict[str, Path]:
    """Return the experiment files of tune_configs/ by name.

    The folder is that of the working directory, or else that of a source checkout.
    """
    folders = (Path("tune_configs"), Path(__file__).parents[2] / "tune_configs")
    folder = next((f for f in folders if f.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def catalogue() -> str:
    """Return every plug-in and fault with the first line of its docstring, and every preset."""
    lines = []
    for kind in plugins.KINDS:
        lines.append(f"{kind}:")
        for name in plugins.names(kind):
            lines.append(_row(name, _summary(plugins.load(kind, name))))
    lines.append("faults:")
    lines += [_row(name, _summary(faults.load(name))) for name in faults.names()]
    lines.append("presets:")
    lines += [_row(name, str(path)) for name, path in presets().items()]
    return "\n".join([*lines, "", "describe NAME shows the keys; sections: " + ", ".join(SECTIONS)])


def _row(name: str, text: str) -> str:
    return f"  {name:<32} {text}"


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
        f"no plug-in, section or preset is called {name!r}{nearest(name, everything)}; "
        "see `fedrl-ray list`"
    )


def _plugin(kind: str, name: str) -> str:
    cls = plugins.load(kind, name)
    lines = [f"{name} ({kind[:-1]})", "", _doc(cls), "", "keys:", *_keys(cls.Config)]
    parameters = cls.parameters if issubclass(cls, EnvFamily) else {}
    if parameters:
        lines += ["", "physical parameters (environment.perturb):"]
        lines += [
            f"  {n:<22}nominal {p.nominal:g} {p.unit}, legal [{p.low:g}, {p.high:g}]: {p.meaning}"
            for n, p in parameters.items()
        ]
    exemptions = cls.exemptions or {}
    lines += ["", "laws that do not hold here:"] if exemptions else []
    lines += [f"  {law}: {reason}" for law, reason in exemptions.items()]
    return "\n".join(lines)


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
