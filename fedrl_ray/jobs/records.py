"""Our jobs, as the cluster's job server lists them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, StringConstraints

from ..common.errors import RunError, UserError, flattened
from ..common.spelling import nearest

KEY = "fedrl_ray"
"""Key of the metadata that marks a job as ours: command, name, output and versions as JSON."""


class Job(NamedTuple):
    """A submitted run or sweep."""

    id: str
    status: str
    """PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""
    command: str
    """train or sweep."""
    name: str
    output: str
    """Run or sweep directory on the cluster, or a URI."""
    versions: dict[str, str]
    """Versions of Python and of the main packages at the submitter."""
    message: str
    exit_code: int | None
    start: float
    """Start in seconds since 1970; 0 as long as it is unknown."""
    end: float | None

    @property
    def over(self) -> bool:
        """True once the job has ended: stopped, succeeded or failed."""
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")


class _Metadata(BaseModel):
    """Our metadata, validated: another program may have written something else under our key."""

    command: Literal["train", "sweep"]
    name: str
    output: Annotated[str, StringConstraints(min_length=1)]
    versions: dict[str, str]


def metadata(command: str, name: str, output: str, versions: dict[str, str]) -> dict[str, str]:
    """Return the metadata of a new job, from which `jobs` builds a `Job`."""
    fields = {"command": command, "name": name, "output": output, "versions": versions}
    return {KEY: json.dumps(fields)}


def jobs(client: Any) -> list[Job]:
    """Return all our jobs, the newest last. Raise RunError if the server does not answer."""
    with reaching(client):
        details = client.list_jobs()
    found = [job for detail in details if (job := _job(detail)) is not None]
    return sorted(found, key=lambda job: job.start)


def find(client: Any, job_id: str) -> Job:
    """Return one of our jobs. Raise UserError if none has this id."""
    found = {job.id: job for job in jobs(client)}
    if job_id not in found:
        known = (
            f"; known: {', '.join(list(found)[-5:])}" if found else "; there are no fedrl-ray jobs"
        )
        raise UserError(f"no fedrl-ray job is called {job_id!r}{nearest(job_id, found) or known}")
    return found[job_id]


@contextlib.contextmanager
def reaching(client: Any) -> Iterator[None]:
    """Raise RunError in place of the errors of Ray and requests if a server is lost or refuses."""
    from ray.exceptions import RayError

    try:
        yield
    except (OSError, RuntimeError, ValueError, RayError) as error:  # requests raises OSErrors
        raise RunError(f"{client.get_address()}: {flattened(error)}") from None


def _job(detail: Any) -> Job | None:
    try:
        fields = json.loads((detail.metadata or {})[KEY])
        own = _Metadata.model_validate(fields, strict=True).model_dump()
    except (KeyError, TypeError, ValueError, RecursionError):  # pydantic raises a ValueError
        return None
    return Job(
        id=str(detail.submission_id),
        status=str(detail.status.value),
        message=str(detail.message or ""),
        exit_code=detail.driver_exit_code,
        start=(detail.start_time or 0) / 1000,
        end=None if detail.end_time is None else detail.end_time / 1000,
        **own,
    )
