"""`fedrl-ray fetch`: bring a job's directory here, from storage or through the cluster."""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import gzip
import hashlib
import json
import shlex
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..common.errors import RunError, UserError, one_line
from ..runs import run_directory
from ..storage import locations
from ..storage.checkpoints import drop_torn
from ..sweeps.directory import SWEEP, TUNE
from . import pack
from .follow import follow
from .records import Job, reaching
from .submission import environment

_MALFORMED = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError)
"""Errors of tarfile and gzip for archives that are cut short or forged."""
_DAMAGED = "the packed directory arrived damaged; fetch it again"


def fetch(
    client: Any, job: Job, target: Path, *, checkpoints: bool, through_job: bool, image: bool
) -> str:
    """Bring a job's directory here. Return a phrase that says where it came from.

    Raise UserError if the target is not empty, RunError if nothing can be brought.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise _exists(target)
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fedrl-ray-", dir=target.absolute().parent) as aside:
        folder = Path(aside, "fetched")
        folder.mkdir()
        location = locations.parse(job.output)
        if isinstance(location, str) and not through_job:
            _download(location, folder, checkpoints=checkpoints)
            source = job.output
        elif isinstance(location, Path) and not through_job and _is_ours(location):
            _copy(location, folder, checkpoints=checkpoints)
            source = f"{location}, which this machine sees"
        else:
            _through_job(client, job, folder, checkpoints=checkpoints, image=image)
            source = f"{job.output} on the cluster"
        _drop_pickles(folder)
        for place in list(folder.rglob(pack.CHECKPOINTS)):
            drop_torn(place)
        if not _is_ours(folder):
            raise RunError(f"{job.output}: holds no run or sweep yet")
        try:
            folder.rename(target)  # replaces an empty folder; `target` is on the same disk
        except OSError as error:
            taken = error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
            raise _exists(target) if taken else error from None
    return source


def _exists(target: Path) -> UserError:
    return UserError(f"--output {target}: already exists; choose another")


def _drop_pickles(folder: Path) -> None:
    """Delete Ray Tune's own folder, which nothing of ours reads and which holds pickles."""
    shutil.rmtree(folder / TUNE, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (run_directory.CONFIG, SWEEP))


def _download(uri: str, folder: Path, *, checkpoints: bool) -> None:
    try:
        locations.download(uri, folder, without=None if checkpoints else pack.CHECKPOINTS)
    except (UserError, RunError) as error:
        raise type(error)(f"{error} (--through-job brings it through the cluster)") from None


def _copy(source: Path, folder: Path, *, checkpoints: bool) -> None:
    for name in pack.wanted_files(source, checkpoints=checkpoints):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source / name, folder / name)
        except FileNotFoundError:  # the run goes on and has just replaced this checkpoint
            continue


def _through_job(client: Any, job: Job, folder: Path, *, checkpoints: bool, image: bool) -> None:
    """Submit a small job that packs the directory into its log, and read that log.

    The job has no metadata of ours, so `status` does not list it, and it is deleted afterwards.
    """
    options = [] if checkpoints else ["--no-checkpoints"]
    command = ["python", "-m", "fedrl_ray.jobs.pack", job.output, *options]
    name = f"fetch-{job.id}-{time.time_ns() // 1_000_000}"
    with tempfile.TemporaryDirectory(prefix="fedrl-ray-") as aside, reaching(client):
        client.submit_job(
            entrypoint=shlex.join(command),
            submission_id=name,
            runtime_env=environment(Path(aside), image),
        )
    try:
        with tempfile.TemporaryFile() as packed:
            reader = Reader(packed)
            follow(client, name, reader.take)
            reader.require_complete()
            packed.seek(0)
            unpack(packed, folder)
    finally:
        with contextlib.suppress(RunError), reaching(client):
            client.delete_job(name)


class Reader:
    """Decoder of a packing job's log: takes the log in pieces and writes the archive to a file."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink, self._text, self._begun = sink, "", False
        self._size, self._digest = 0, hashlib.sha256()
        self._told: dict[str, Any] | None = None
        self._other: list[str] = []

    def take(self, text: str) -> None:
        """Take the next piece of the log. Raise RunError for lines that are not base64."""
        *lines, self._text = (self._text + text).split("\n")
        for line in lines:
            self._line(line.rstrip("\r"))

    def _line(self, line: str) -> None:
        if line == pack.BEGIN:
            self._begun = True
        elif line.startswith(pack.END):
            with _damaged_if(ValueError, RecursionError):
                self._told, self._begun = json.loads(line.removeprefix(pack.END)), False
        elif self._begun:
            with _damaged_if(binascii.Error, ValueError):
                data = base64.b64decode(line, validate=True)
            self._sink.write(data)
            self._digest.update(data)
            self._size += len(data)
        elif line:
            self._other.append(line)

    def require_complete(self) -> None:
        """Raise RunError unless the whole archive has arrived, with its size and sha256."""
        if self._told is None:
            said = next((x for x in reversed(self._other) if x.startswith("error: ")), None)
            raise RunError(
                said.removeprefix("error: ") if said else "the packing job sent no directory"
            )
        if self._told != {"bytes": self._size, "sha256": self._digest.hexdigest()}:
            raise RunError(_DAMAGED)


@contextlib.contextmanager
def _damaged_if(*errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors:
        raise RunError(_DAMAGED) from None


def unpack(packed: IO[bytes], folder: Path) -> None:
    """Unpack files and folders into a folder.

    Raise RunError for links, devices, paths that leave the folder, and malformed archives.
    """
    try:
        with tarfile.open(fileobj=packed, mode="r:gz") as archive:
            for member in archive:
                if not (member.isfile() or member.isdir()):
                    raise RunError(f"the packed directory holds a link: {member.name!r}")
                archive.extract(member, folder, filter="data")
    except _MALFORMED as error:
        raise RunError(f"the packed directory is refused: {one_line(error)}") from None
