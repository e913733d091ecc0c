"""Conversion of YAML files, overrides and plain data to an `Experiment`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..common.errors import UserError
from ..common.modules import folder_of_modules, look_in
from . import plugins
from .checks import check_experiment
from .presets import experiment_file
from .renamed_keys import new_name, under_new_names
from .schema import EnvironmentPlugin, Experiment, LearnerPlugin, Plugin
from .validation_errors import explain_violation
from .yaml_files import apply_overrides, read_yaml


def load(
    path: str | Path, overrides: Sequence[str] = (), *, hint_at_old_keys: bool = True
) -> Experiment:
    """Read an experiment file and apply dotted overrides, `learner.omega=0.3`.

    path: the file, or the name of a preset (see `presets.experiment_file`). Raises UserError with
    one line: the file, the full key, the rule and the value.
    """
    source = str(path)
    file = experiment_file(path)
    data = under_new_names(read_yaml(file), source=source, hint=hint_at_old_keys)
    data = apply_overrides(data, [new_name(o) for o in overrides])
    return from_dict(data | {"modules": _modules(data, file.parent)}, source=source)


def from_dict(data: Mapping[str, Any], *, source: str = "configuration") -> Experiment:
    """Return an experiment from plain data. Raises UserError."""
    try:
        sections: dict[str, Any] = {
            key: value for key, value in data.items() if key not in _SECTIONS and value is not None
        }
        sections |= {section: _plugin(section, data.get(section)) for section in _SECTIONS}
        _count_agents(sections)
        experiment = Experiment(**sections)
        look_in(experiment.modules)
        check_experiment(experiment)
    except ValidationError as error:
        raise UserError(f"{source}: {explain_violation(error, Experiment)}") from None
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    return experiment


def _count_agents(sections: dict[str, Any]) -> None:
    """Let the number of agents follow from the environment's list of agents, if it is not given."""
    listed, given = sections["environment"].settings.num_agents(), sections.get("federation", {})
    if listed is not None and isinstance(given, Mapping) and given.get("num_agents") is None:
        sections["federation"] = dict(given) | {"num_agents": listed}


def _modules(data: Mapping[str, Any], folder: Path) -> Any:
    """Return the key `modules` of an experiment file in a folder, with a relative one resolved."""
    given = data.get("modules")
    if given is None:
        return folder_of_modules(data.get("environment"), folder)
    return os.path.abspath(folder / given) if isinstance(given, str) else given


_SECTIONS = {kind.section: kind_name for kind_name, kind in plugins.KINDS.items()}
_SCHEMAS: dict[str, type[Plugin]] = {"learner": LearnerPlugin, "environment": EnvironmentPlugin}


def _plugin(section: str, data: Any) -> Plugin:
    kind = _SECTIONS[section]
    default, known = plugins.KINDS[kind].default, ", ".join(plugins.names(kind))
    if default is not None and (data is None or (isinstance(data, Mapping) and "name" not in data)):
        data = {"name": default} | dict(data or {})
    if not isinstance(data, Mapping):
        raise UserError(f"{section}: must be a mapping with a name; got {data!r}; known: {known}")
    if not isinstance(data.get("name"), str):
        raise UserError(f"{section}.name: must be one of {known}; got {data.get('name')!r}")
    cls = plugins.load(kind, data["name"], key=f"{section}.name")
    keys = {key: value for key, value in data.items() if key != "name"}
    schema = _SCHEMAS.get(section, Plugin)
    try:
        return schema(name=data["name"], settings=cls.Config(**keys))
    except ValidationError as error:
        raise UserError(explain_violation(error, cls.Config, prefix=section)) from None
    except TypeError as error:
        raise UserError(f"{section}: keys must be words; got {error}") from None
