"""Write and read safetensors files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from algorithms.types import Array

from ..common.errors import RunError, UserError


def write_arrays(path: Path, named: Mapping[str, Array]) -> None:
    """Write named arrays. Raises RunError: the file cannot be written, as on a full disk."""
    try:
        save_file(dict(named), path)
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path}: cannot be written: {error}") from None


UNREADABLE = (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError)
"""Exceptions of safetensors for a file that is not its own, or has a type that numpy lacks."""


def read_arrays(path: Path) -> dict[str, Array]:
    """Return the named arrays of a file. Raises UserError: it is not a file of `write_arrays`."""
    try:
        return load_file(path)
    except UNREADABLE as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
