"""`fedrl-ray fetch`: a job's directory, from storage or through the cluster."""

from __future__ import annotations

import base64
import binascii
import contextlib
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
from ..sweeps.directory import SWEEP, TUNE
from . import pack
from .follow import follow
from .records import Job, reaching
from .submission import environment

_MALFORMED = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError)
"""What tarfile and gzip raise for archives cut short or made up."""


def fetch(
    client: Any, job: Job, target: Path, *, checkpoints: bool, through_job: bool, image: bool
) -> str:
    """Bring a job's directory here; in words, where it came from.

    Raises UserError for a target that is taken, RunError where nothing could be brought.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"--output {target}: already there; choose another")
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
        if not _is_ours(folder):
            raise RunError(f"{job.output}: there is no run or sweep yet")
        if target.exists():
            target.rmdir()
        shutil.move(folder, target)
    return source


def _drop_pickles(folder: Path) -> None:
    """The state of Ray Tune, should it have come along: once here it would pass for this user's
    own, and `sweep --resume` would read it."""
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
        except FileNotFoundError:  # a checkpoint that a run going on has just replaced
            continue


def _through_job(client: Any, job: Job, folder: Path, *, checkpoints: bool, image: bool) -> None:
    """By a small job that packs the directory into its log. It carries no mark of ours, and is
    taken off the cluster's list afterwards."""
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
    """Takes the log of a packing job in pieces; writes the archive to a file."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink, self._text, self._begun = sink, "", False
        self._size, self._digest = 0, hashlib.sha256()
        self._told: dict[str, Any] | None = None
        self._other: list[str] = []

    def take(self, text: str) -> None:
        """The next piece. Raises RunError for lines that are no base64."""
        *lines, self._text = (self._text + text).split("\n")
        for line in lines:
            self._line(line.rstrip("\r"))

    def _line(self, line: str) -> None:
        if line == pack.BEGIN:
            self._begun = True
        elif line.startswith(pack.END):
            with _torn_where(ValueError, RecursionError):
                self._told, self._begun = json.loads(line.removeprefix(pack.END)), False
        elif self._begun:
            with _torn_where(binascii.Error, ValueError):
                data = base64.b64decode(line, validate=True)
            self._sink.write(data)
            self._digest.update(data)
            self._size += len(data)
        elif line:
            self._other.append(line)

    def require_complete(self) -> None:
        """Raises RunError unless all has come, as it was packed."""
        if self._told is None:
            said = next((x for x in reversed(self._other) if x.startswith("error: ")), None)
            raise RunError(said.removeprefix("error: ") if said else "the packing job gave nothing")
        if self._told != {"bytes": self._size, "sha256": self._digest.hexdigest()}:
            raise RunError("the packed directory came through torn; fetch again")


@contextlib.contextmanager
def _torn_where(*errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors:
        raise RunError("the packed directory came through torn; fetch again") from None


def unpack(packed: IO[bytes], folder: Path) -> None:
    """Unpack files and folders below a folder, and nothing else. Raises RunError."""
    try:
        with tarfile.open(fileobj=packed, mode="r:gz") as archive:
            for member in archive:
                if not (member.isfile() or member.isdir()):
                    raise RunError(f"the packed directory holds a link: {member.name!r}")
                archive.extract(member, folder, filter="data")
    except _MALFORMED as error:
        raise RunError(f"the packed directory is refused: {one_line(error)}") from None
