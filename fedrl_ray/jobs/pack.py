"""Packing of a run or sweep directory into a job's log. This module runs on the cluster.

The lines between `BEGIN` and `END` are the base64 text of a tar.gz. The line `END` holds the size
and the sha256 of the archive.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..common.errors import RunError, UserError
from ..storage import locations
from ..storage.locks import LOCK
from ..sweeps.directory import TUNE

BEGIN, END = "fedrl-ray-pack-begin", "fedrl-ray-pack-end "
LINE = 48_000
"""Bytes per line."""
MAX_BYTES = 1 << 30
"""Size of the largest tar.gz: the job's log stays on the head's disk."""
CHECKPOINTS = "checkpoints"


def wanted_files(folder: Path, *, checkpoints: bool) -> Iterator[Path]:
    """Yield the files of a directory that `fetch` brings, relative to the directory.

    Links are left out, and so is Ray Tune's pickled state, which only its writer may read.
    """
    for parent, folders, files in os.walk(folder):
        here = Path(parent).relative_to(folder)
        if here == Path():
            folders[:] = [name for name in folders if name != TUNE]
        if not checkpoints:
            folders[:] = [name for name in folders if name != CHECKPOINTS]
        folders.sort()
        for name in sorted(files):
            if name != LOCK and not (folder / here / name).is_symlink():
                yield here / name


class _Lines(io.RawIOBase):
    """A stream that writes its bytes as lines of base64."""

    def __init__(self, sink: IO[str]) -> None:
        self._sink, self._rest, self.size, self.digest = sink, b"", 0, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.size += len(data)
        if self.size > MAX_BYTES:
            raise RunError(
                f"the directory packs into more than {MAX_BYTES >> 20} MiB: fetch it with "
                "--no-checkpoints, or from storage"
            )
        self.digest.update(data)
        self._rest += bytes(data)
        while len(self._rest) >= LINE:
            self._put(self._rest[:LINE])
            self._rest = self._rest[LINE:]
        return len(data)

    def flush(self) -> None: ...

    def end(self) -> None:
        """Write the last line of base64, then the size and sha256 that the reader checks."""
        if self._rest:
            self._put(self._rest)
        told = {"bytes": self.size, "sha256": self.digest.hexdigest()}
        self._sink.write(f"{END}{json.dumps(told)}\n")

    def _put(self, data: bytes) -> None:
        self._sink.write(base64.b64encode(data).decode() + "\n")


def pack(folder: Path, sink: IO[str], *, checkpoints: bool) -> None:
    """Write a directory to a text stream. Raise RunError for more than `MAX_BYTES`.

    The run may go on meanwhile, so a file that vanishes is left out.
    """
    lines = _Lines(sink)
    sink.write(f"{BEGIN}\n")
    with tarfile.open(fileobj=lines, mode="w|gz") as archive:
        for name in wanted_files(folder, checkpoints=checkpoints):
            try:
                with (folder / name).open("rb") as file:
                    archive.addfile(archive.gettarinfo(arcname=str(name), fileobj=file), file)
            except FileNotFoundError:
                continue
    lines.end()
    sink.flush()


def main(output: str, *options: str) -> None:
    """Run `python -m fedrl_ray.jobs.pack OUTPUT [--no-checkpoints]`."""
    checkpoints = "--no-checkpoints" not in options
    location = locations.parse(output)
    if not locations.exists(location):
        raise UserError(f"{output}: does not exist yet")
    if isinstance(location, Path):
        pack(location, sys.stdout, checkpoints=checkpoints)
        return
    with tempfile.TemporaryDirectory(prefix="fedrl-ray-") as aside:
        without = None if checkpoints else CHECKPOINTS
        locations.download(location, Path(aside), without=without)
        pack(Path(aside), sys.stdout, checkpoints=checkpoints)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (UserError, RunError, OSError) as failure:
        sys.exit(f"error: {failure}")
