"""Local mirror of a run directory: the driver writes logs to its own disk, then publishes them."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ..common.errors import RunError, UserError
from . import locations
from .locations import Location
from .locks import DirectoryLock

CHECKPOINTS = "checkpoints"
PREFIX = "fedrl-ray-run-"
FRESH_SECONDS = 60.0


class LocalMirror:
    """A local folder for the logs of a run, to be published at the run's location.

    For a local run it is the run directory itself. For a URI it is a temporary folder, filled from
    the URI without the checkpoints, which are written to the URI directly.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._published: dict[str, tuple[int, int]] = {}
        if isinstance(location, Path):
            self.directory = location
            return
        _remove_stale()
        self._temporary = tempfile.TemporaryDirectory(prefix=PREFIX)
        self._lock = _lock(Path(self._temporary.name))
        self.directory = Path(self._temporary.name) / locations.name_of(location)
        self.directory.mkdir()
        locations.download(location, self.directory, without=CHECKPOINTS)
        self._published = self._stamps()

    def publish(self) -> None:
        """Upload the files that changed since the last call, and remove those that were deleted.

        Raises RunError if the storage refuses.
        """
        if isinstance(self._location, Path):
            return
        there = self._stamps()
        changed = [name for name, stamp in there.items() if self._published.get(name) != stamp]
        locations.put(self.directory, changed, self._location)
        for name in self._published.keys() - there.keys():  # last: a new file may replace an old
            locations.remove_file(locations.child(self._location, name))
        self._published = there

    @contextlib.contextmanager
    def in_its_name(self) -> Iterator[None]:
        """Make errors name the run's location instead of the temporary folder."""
        try:
            yield
        except (UserError, RunError) as error:
            text = str(error).replace(str(self.directory), str(self._location))
            if text == str(error):
                raise
            raise type(error)(text) from None

    def _stamps(self) -> dict[str, tuple[int, int]]:
        return {name: _stamp(self.directory / name) for name in locations.names(self.directory)}

    def close(self) -> None:
        """Remove the temporary folder."""
        if self._temporary is not None:
            self._lock.release()
            self._temporary.cleanup()


def _remove_stale() -> None:
    """Remove the temporary folders of killed drivers: those whose lock nobody holds.

    A folder younger than FRESH_SECONDS stays, because its driver may not hold the lock yet.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, UserError):
            found = folder.lstat()
            if found.st_uid == os.getuid() and found.st_mtime < time.time() - FRESH_SECONDS:
                with _lock(folder):
                    shutil.rmtree(folder, ignore_errors=True)


def _lock(folder: Path) -> DirectoryLock:
    return DirectoryLock(folder, shown=str(folder), doing="writing there", patience=0.0)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
