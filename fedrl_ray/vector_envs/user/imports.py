"""Objects that a configuration names by `package.module:name`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ...common.errors import UserError
from ...common.spelling import nearest


def find_callable(path: str, key: str) -> Callable[..., Any]:
    """Return the callable at `package.module:name`.

    Raises UserError, which names the configuration key: the path is none, or nothing is there.
    """
    module, _, name = path.partition(":")
    if not (module and name):
        raise UserError(f"{key}: must be package.module:callable; got {path!r}")
    found = import_module(module, key)
    named: Callable[..., Any] | None = getattr(found, name, None)  # the user names it
    if not callable(named):
        known = [other for other in dir(found) if callable(getattr(found, other, None))]
        raise UserError(f"{key}: {module} has no callable {name!r}{nearest(name, known)}")
    return named


def import_module(module: str, key: str) -> ModuleType:
    """Import a module of the user. Raises UserError: there is none of this name."""
    if not all(module.split(".")) or "\0" in module:
        raise UserError(f"{key}: must name a module like an import, package.module; got {module!r}")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UserError(f"{key}: PYTHONPATH has no module {error.name!r}") from None
