"""The text files of a run, on the disk of whoever writes them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from . import storage
from .storage import Location

CHECKPOINTS = "checkpoints"


class WorkingCopy:
    """A run directory to write logs into: the folder itself, or for a URI a temporary one that
    holds what is there (checkpoints, which go there directly, left out) and is published."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._published: dict[str, tuple[int, int]] = {}
        if isinstance(location, Path):
            self.directory = location
            return
        self._temporary = tempfile.TemporaryDirectory(prefix="fedrl-ray-run-")
        self.directory = Path(self._temporary.name) / storage.name_of(location)
        self.directory.mkdir()
        storage.download(location, self.directory, without=CHECKPOINTS)

    def publish(self) -> None:
        """Put the files that changed since the last time. Raises RunError."""
        if isinstance(self._location, Path):
            return
        there = {name: _stamp(self.directory / name) for name in storage.names(self.directory)}
        changed = [name for name, stamp in there.items() if self._published.get(name) != stamp]
        storage.put(self.directory, changed, self._location)
        self._published = there

    def close(self) -> None:
        """Forget the temporary folder."""
        if self._temporary is not None:
            self._temporary.cleanup()


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
