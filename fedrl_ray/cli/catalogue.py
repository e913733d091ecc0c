"""`list` and `describe`: what there is, from the plug-ins themselves."""

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

SECTIONS: dict[str, type[BaseModel]] = {
    "federation": FederationConfig,
    "evaluation": EvaluationConfig,
    "checkpoint": CheckpointConfig,
    "resources": ResourcesConfig,
    "sweep": SweepConfig,
}


def presets() -> dict[str, Path]:
    """Experiment files in tune_configs/, of the working directory or of a source checkout."""
    folders = (Path("tune_configs"), Path(__file__).parents[2] / "tune_configs")
    folder = next((f for f in folders if f.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def catalogue() -> str:
    """Every plug-in with the first line of its docstring, every preset with its path."""
    lines = []
    for kind in plugins.FOLDERS:
        lines.append(f"{kind}:")
        for name in plugins.names(kind):
            lines.append(f"  {name:<28}{_first_line(plugins.load(kind, name))}")
    lines.append("faults:")
    lines += [f"  {name:<28}{_first_line(faults.load(name))}" for name in faults.names()]
    lines.append("presets:")
    lines += [f"  {name:<28}{path}" for name, path in presets().items()]
    return "\n".join([*lines, "", "describe NAME shows the keys; sections: " + ", ".join(SECTIONS)])


def describe(name: str) -> str:
    """Keys, defaults and meaning of a plug-in or section; the content of a preset.

    Raises UserError for a name that is none of them.
    """
    if name in SECTIONS:
        return "\n".join([_doc(SECTIONS[name]), "", "keys:", *_keys(SECTIONS[name])])
    for kind in plugins.FOLDERS:
        if name in plugins.names(kind):
            return _plugin(kind, name)
    if name in presets():
        return presets()[name].read_text(encoding="utf-8").rstrip()
    known = [n for kind in plugins.FOLDERS for n in plugins.names(kind)]
    everything = [*SECTIONS, *known, *presets()]
    raise UserError(
        f"{name!r} is no plug-in, section or preset{nearest(name, everything)}; "
        "see `fedrl-ray list`"
    )


def _plugin(kind: str, name: str) -> str:
    cls = plugins.load(kind, name)
    lines = [f"{name} ({kind[:-1]})", "", _doc(cls), "", "keys:", *_keys(cls.Config)]
    parameters = getattr(cls, "parameters", {})
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
    """A key a line with its default, its meaning below, and the keys of a mapping it may hold."""
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


def _first_line(cls: type[Any]) -> str:
    return _doc(cls).split("\n")[0]
