"""sha256 of parameters and of agent states: two runs are equal if their digests are equal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from algorithms.types import Array


def of_arrays(named: Mapping[str, Array]) -> str:
    """Return the sha256 over names, types, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(named):
        array = np.ascontiguousarray(named[name])
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def of_texts(texts: Iterable[str]) -> str:
    """Return the sha256 over several texts, in their order."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def of_file(path: Path) -> str:
    """Return the sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
