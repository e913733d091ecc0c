"""The working directory of a job: the whole experiment in one file, and the user's modules."""

from __future__ import annotations

import contextlib
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from importlib.util import find_spec
from modulefinder import ModuleFinder
from pathlib import Path

import yaml

from ..common.errors import UserError
from ..config.schema import Experiment
from ..vector_envs.user.config import GymnasiumConfig
from .wheel import PACKAGES

EXPERIMENT = "experiment.yaml"
_LEAVE = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", ".venv")


def fill(folder: Path, experiment: Experiment, include: Sequence[Path]) -> list[str]:
    """Fill a folder. Return the names of everything in it besides the experiment.

    `include` lists more files and folders of the user. Raise UserError if one is missing, or if two
    have the same name.
    """
    data = experiment.to_dict() | {"modules": None}  # they go along, into another folder
    if experiment.sweep is not None:
        data["sweep"] = experiment.sweep.model_dump(mode="json")
    (folder / EXPERIMENT).write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    paths = list(dict.fromkeys([*_modules(experiment), *(path.absolute() for path in include)]))
    for path in paths:
        _copy(path, folder)
    return [path.name for path in paths]


def _copy(path: Path, folder: Path) -> None:
    target = folder / path.name
    if not path.exists():
        raise UserError(f"--include {path}: no such file or folder")
    if target.exists():
        raise UserError(f"--include {path}: the working directory already has {path.name!r}")
    if path.is_dir():
        shutil.copytree(path, target, ignore=_LEAVE)
    else:
        shutil.copyfile(path, target)


def user_module(experiment: Experiment) -> str | None:
    """Return the user's module that makes the environments, or None."""
    settings = experiment.environment.settings
    if not isinstance(settings, GymnasiumConfig):
        return None
    module, colon, _ = (settings.factory or settings.id or "").partition(":")
    return module if colon else None


def _modules(experiment: Experiment) -> list[Path]:
    """Return the user's module and the modules and packages that it imports from the same folder.

    An installed module is left out: the cluster must have it.
    """
    name = user_module(experiment)
    if name is None:
        return []
    top = name.partition(".")[0]
    spec = find_spec(top)
    places = [] if spec is None else [*(spec.submodule_search_locations or []), spec.origin]
    root = next((Path(place).parent for place in places if place), None)
    if root is None or _installed(root):
        return []
    finder = ModuleFinder(path=[str(root)], excludes=list(PACKAGES))
    with contextlib.suppress(ImportError):  # a folder without __init__.py is taken as a whole
        finder.import_hook(name)
    modules = finder.modules.items()
    found = (name for name, module in modules if vars(module)["__file__"])  # typeshed lacks it
    tops = {name.partition(".")[0] for name in found} | {top}
    return sorted(_place(root, top) for top in tops)


def _place(root: Path, top: str) -> Path:
    return root / top if (root / top).is_dir() else root / f"{top}.py"


def _installed(root: Path) -> bool:
    """Return True if this Python installs packages in the folder."""
    own = {Path(path).resolve() for path in sysconfig.get_paths().values()}
    return root.resolve() in own or Path(sys.prefix).resolve() in root.resolve().parents
