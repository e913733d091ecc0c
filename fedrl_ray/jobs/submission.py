"""`fedrl-ray submit`: run an experiment as a job of a cluster."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.errors import UserError
from ..config import loading
from ..config.schema import Experiment
from ..ray_cluster import tokens
from ..storage import locations
from . import versions, wheel, workdir
from .records import Job, find, jobs, metadata, reaching

STOP_WAIT = 300
"""Seconds that a stopped job has to write its checkpoint before Ray kills it."""
MAX_UPLOAD = 400 * 2**20
"""Bytes of the largest working directory; Ray accepts 512 MiB."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """Arguments of `fedrl-ray submit`."""

    config: str | Path
    """Experiment file, or the name of a preset."""
    overrides: Sequence[str]
    storage: str
    sweep: bool
    image: bool
    job_id: str | None
    include: Sequence[Path]


def submit(client: Any, experiment: Experiment, wanted: Submission) -> Job:
    """Submit the experiment and return its job.

    Raise UserError if the id or the output is taken, or if the upload is too large; RunError if
    the job server fails.
    """
    name = experiment.name
    output = output_of(experiment, wanted)
    command = "sweep" if wanted.sweep else "train"
    job_id = _id(name) if wanted.job_id is None else _checked(wanted.job_id)
    versions.require_ray(client.server_ray)
    _require_free(client, output, job_id)
    with tempfile.TemporaryDirectory(prefix="fedrl-ray-") as folder:
        directory = Path(folder, "job")
        directory.mkdir()
        taken = workdir.fill(directory, experiment, wanted.include)
        _require_small(directory, taken)
        with reaching(client):
            client.submit_job(
                entrypoint=shlex.join(_entrypoint(command, output)),
                submission_id=job_id,
                metadata=metadata(command, name, output, versions.here()),
                runtime_env=environment(Path(folder), wanted.image)
                | {"working_dir": str(directory)},
            )
    return find(client, job_id)


def load(wanted: Submission) -> Experiment:
    """Load the experiment and check it as `train` and `sweep` do. Raise UserError."""
    experiment = loading.load(wanted.config, wanted.overrides)
    if wanted.sweep:
        from ..sweeps.validation import require_sweep

        try:
            require_sweep(experiment)
        except UserError as error:
            raise UserError(f"{wanted.config}: {error}") from None
    return experiment


def output_of(experiment: Experiment, wanted: Submission) -> str:
    """Return the place of the results: STORAGE/NAME or STORAGE/sweep-NAME.

    Raise UserError if the nodes cannot share the place, or if it holds a secret.
    """
    place = locations.parse(wanted.storage, "--storage")
    if isinstance(place, Path) and not place.is_absolute():
        raise UserError(
            "--storage: must be an absolute path that every node mounts, or a URI such as "
            f"s3://bucket/folder; got {wanted.storage!r}"
        )
    if isinstance(place, str) and wanted.sweep:
        raise UserError(
            "--storage: must be a folder that every node mounts if --sweep is given, because "
            f"trials and Ray Tune write there at the same time; got {place}"
        )
    if isinstance(place, Path):
        place = Path(os.path.normpath(place))
    return str(
        locations.child(place, f"sweep-{experiment.name}" if wanted.sweep else experiment.name)
    )


def environment(folder: Path, image: bool) -> dict[str, Any]:
    """Return the runtime environment of a job: our package and variables, without any secret.

    The wheel of our package is written into `folder`. With `image` the cluster already has it.
    """
    told = {
        versions.SUBMITTED_FROM: versions.submitted_from(),
        "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT),
    }
    if tokens.allows_open():
        told[tokens.ALLOW_OPEN] = "1"
    modules = {} if image else {"py_modules": [str(wheel.build(folder))]}
    return {"env_vars": told, **modules}


def _entrypoint(command: str, output: str) -> list[str]:
    arguments = [workdir.EXPERIMENT, "--output", output, "--restartable"]
    return ["python", "-m", "fedrl_ray", command, *arguments]


def _id(name: str) -> str:
    """Return NAME-YYYYmmdd-HHMMSS, in characters that a URL can hold."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
    return f"{plain}-{time.strftime('%Y%m%d-%H%M%S')}"


def _checked(job_id: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", job_id):
        raise UserError(f"--id: must be at most 100 letters, digits and `_ . -`; got {job_id!r}")
    return job_id


def _require_free(client: Any, output: str, job_id: str) -> None:
    for job in jobs(client):
        if job.id == job_id:
            raise UserError(f"--id: the cluster already has a job called {job_id!r}")
        if job.output == output and not job.over:
            raise UserError(
                f"--storage: job {job.id} ({job.status.lower()}) writes to {output}; stop it first "
                f"with `fedrl-ray stop {job.id}`, or give this experiment another name"
            )


def _require_small(directory: Path, taken: list[str]) -> None:
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    if size > MAX_UPLOAD:
        raise UserError(
            f"the job's working directory must be at most {MAX_UPLOAD / 2**20:.0f} MiB; got "
            f"{size / 2**20:.0f} MiB ({', '.join(taken)}); put data on the nodes instead"
        )
