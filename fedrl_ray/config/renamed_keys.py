"""Keys that have a new name. The old name works for one version, with a hint of one line."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..common.errors import UserError
from ..common.log import LOGGER

RENAMED = {
    "federation.pool": "federation.backend",
    "sweep.pool": "sweep.backend",
    "sweep.trackers": "trackers",
}
"""Old dotted key -> new dotted key, in the same section or in none. Version 0.3 drops the old keys.
"""


def under_new_names(data: Mapping[str, Any], *, source: str, hint: bool = True) -> dict[str, Any]:
    """Return an experiment (plain data) with every renamed key under its new name.

    source: the file, for hints and errors. hint: True logs each old name. Raises UserError if the
    file holds both names of a key.
    """
    result = dict(data)
    for old, new in RENAMED.items():
        section, key = old.split(".")
        keys = result.get(section)
        if not isinstance(keys, Mapping) or key not in keys:
            continue
        new_key = new.rpartition(".")[2]
        moves = "." not in new
        if new_key in (result if moves else keys):
            raise UserError(f"{source}: {old} is the old name of {new}: give one of them, not both")
        if moves:
            result[new_key] = keys[key]
            result[section] = {k: value for k, value in keys.items() if k != key}
        else:
            result[section] = {new_key if k == key else k: value for k, value in keys.items()}
        if hint:
            _hint(source, old)
    return result


def new_name(override: str) -> str:
    """Return an override `key=value` under the key's new name."""
    key, equals, value = override.partition("=")
    if key.strip() not in RENAMED:
        return override
    _hint("--set", key.strip())
    return RENAMED[key.strip()] + equals + value


def _hint(source: str, old: str) -> None:
    logging.getLogger(LOGGER).warning(
        "%s: %s is now %s; the old name works until version 0.3", source, old, RENAMED[old]
    )
