"""Read a checkpoint of a run that may be training, and so deletes its old checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..common.errors import RunError, UserError

T = TypeVar("T")
ATTEMPTS = 20
"""Checkpoints that are tried. Each but the last was deleted while it was read."""


def read_live(choose: Callable[[], Path], read: Callable[[Path], T]) -> T:
    """Return what `read` returns for a checkpoint; choose again if the run deletes or replaces it.

    choose: returns the checkpoint, the newest in most cases, and raises UserError if there is none.
    read: raises UserError or OSError for a checkpoint that is torn. This error is raised if the
    checkpoint is still there. Raises RunError if the run deletes them faster than they are read.
    """
    for _ in range(ATTEMPTS):
        path = choose()
        before = _identity(path)
        try:
            return read(path)
        except (UserError, OSError):
            if before is not None and _identity(path) == before:
                raise
    raise RunError(f"{path.parent}: the run deletes its checkpoints faster than they are read")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return a value that changes if another folder takes the name; None if there is no folder."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
