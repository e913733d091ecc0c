"""Writing and reading safetensors files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from algorithms.types import Array

from ..common.errors import RunError, UserError


def write_arrays(path: Path, named: Mapping[str, Array]) -> None:
    """Raises RunError where the file cannot be written: a full disk, say."""
    try:
        save_file(dict(named), path)
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path}: cannot be written: {error}") from None


UNREADABLE = (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError)
"""What the library raises on a file that is none of its own, or of types that numpy has not."""


def read_arrays(path: Path) -> dict[str, Array]:
    """Raises UserError where the file is not what `write_arrays` writes."""
    try:
        return load_file(path)
    except UNREADABLE as error:
        raise UserError(f"{path}: does not read: {error}") from None
