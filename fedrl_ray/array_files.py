"""Writing safetensors files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import save_file

from algorithms.types import Array

from .errors import RunError


def write_arrays(path: Path, named: Mapping[str, Array]) -> None:
    """Raises RunError where the file cannot be written: a full disk, say."""
    try:
        save_file(dict(named), path)
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path}: cannot be written: {error}") from None
