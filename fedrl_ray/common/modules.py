"""Modules of users: where Python looks for them, and whether a package is really installed.

The order is: installed modules and PYTHONPATH, the folder of the experiment file, the working
directory. A file `queue.py` or a folder `plotly` in the working directory hides no other module.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_NAMED = re.compile(r"(\w+)(?:\.\w+)*:\w")
"""`package.module:name`; the group is the top package."""
_KEYS = ("id", "factory", "wrappers")
"""Keys of `environment` that may name modules."""


def is_installed(package: str) -> bool:
    """Return True if a package can be imported; a folder of that name alone does not count."""
    return _is_real(find_spec(package))


def look_in_working_directory() -> None:
    """Let Python look into the working directory, after all other places."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def command_of(module: str) -> list[str]:
    """Return the command that runs a module of ours in a process of its own.

    `python -m` would look into the working directory first.
    """
    root = str(Path(__file__).parents[2])
    run = f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return [sys.executable, "-P", "-c", f"import runpy, sys; sys.path.append({root!r}); {run}"]


def look_in(folder: str | None) -> None:
    """Let Python look into a folder, too: before the working directory, after all else."""
    if folder is not None and folder not in sys.path:
        at_end = sys.path[-1:] == [os.getcwd()]
        sys.path.insert(len(sys.path) - at_end, folder)


def folder_of_modules(environment: Any, beside: Path) -> str | None:
    """Return the folder that holds the modules named by the section `environment`.

    beside: the folder of the experiment file. Return None if the section names no module, if they
    are installed, or if they are nowhere.
    """
    own = [os.path.abspath(beside), os.getcwd()]
    others = [path for path in map(os.path.abspath, sys.path) if path not in own]
    for name in _modules(environment):
        places = (p for p in (*others, *own) if _is_real(PathFinder.find_spec(name, [p])))
        folder = next(places, None)
        if folder is not None and not _is_of_python(folder):
            return folder
    return None


def _is_of_python(folder: str) -> bool:
    """Return True if this Python keeps its own modules or installed packages in a folder."""
    own = {os.path.abspath(path) for path in sysconfig.get_paths().values()}
    return folder in own or any(Path(folder).is_relative_to(p) for p in (sys.prefix, *own))


def _modules(environment: Any) -> Iterator[str]:
    """Yield the top packages that the section `environment` names, as plain data."""
    if isinstance(environment, Mapping):
        for key in _KEYS:
            yield from _named(environment.get(key))


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, str) and (found := _NAMED.match(value)):
        yield found[1]
    elif isinstance(value, Mapping):
        yield from _named(list(value.values()))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for one in value:
            yield from _named(one)


def _is_real(spec: ModuleSpec | None) -> bool:
    """Return True for a module or a package with code: a mere folder has no origin."""
    return spec is not None and spec.origin is not None
