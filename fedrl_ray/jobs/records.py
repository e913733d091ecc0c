"""Jobs of ours as the cluster's job server knows them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, StringConstraints

from ..common.errors import RunError, UserError
from ..common.spelling import nearest

KEY = "fedrl_ray"
"""The metadata that makes a job one of ours: command, name, output and versions as JSON."""


class Job(NamedTuple):
    """A submitted run or sweep."""

    id: str
    status: str
    """PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""
    command: str
    """train or sweep."""
    name: str
    output: str
    """Run directory on the cluster, or a URI."""
    versions: dict[str, str]
    """Of the submitter."""
    message: str
    exit_code: int | None
    start: float
    """Seconds since 1970; 0 before the start is known."""
    end: float | None

    @property
    def over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")


class _Metadata(BaseModel):
    """What another program may have written under our key too."""

    command: Literal["train", "sweep"]
    name: str
    output: Annotated[str, StringConstraints(min_length=1)]
    versions: dict[str, str]


def metadata(command: str, name: str, output: str, versions: dict[str, str]) -> dict[str, str]:
    """What a job carries, for `Job` to read back."""
    fields = {"command": command, "name": name, "output": output, "versions": versions}
    return {KEY: json.dumps(fields)}


def jobs(client: Any) -> list[Job]:
    """All of ours, the newest last. Raises RunError."""
    with reaching(client):
        details = client.list_jobs()
    found = [job for detail in details if (job := _job(detail)) is not None]
    return sorted(found, key=lambda job: job.start)


def find(client: Any, job_id: str) -> Job:
    """One job. Raises UserError where there is none of ours by that name."""
    found = {job.id: job for job in jobs(client)}
    if job_id not in found:
        known = f"; there are {', '.join(list(found)[-5:])}" if found else "; there are none"
        raise UserError(f"no job of ours is called {job_id!r}{nearest(job_id, found) or known}")
    return found[job_id]


@contextlib.contextmanager
def reaching(client: Any) -> Iterator[None]:
    """Turns what Ray and requests raise where a server is lost, or refuses, into RunError."""
    from ray.exceptions import RayError

    try:
        yield
    except (OSError, RuntimeError, ValueError, RayError) as error:  # OSErrors: requests' own
        text = " ".join(str(error).split())[:300]
        raise RunError(f"{client.get_address()}: {text}") from None


def _job(detail: Any) -> Job | None:
    try:
        fields = json.loads((detail.metadata or {})[KEY])
        own = _Metadata.model_validate(fields, strict=True).model_dump()
    except (KeyError, TypeError, ValueError, RecursionError):  # pydantic's is a ValueError
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
