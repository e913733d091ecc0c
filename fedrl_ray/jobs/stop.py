"""`fedrl-ray stop`: signal a job to stop, and wait for its end."""

from __future__ import annotations

import time
from typing import Any

from ..common.errors import RunError
from .records import Job, find, reaching
from .submission import STOP_WAIT


def stop(client: Any, job: Job, *, wait: bool) -> Job:
    """Ask a job to stop after its round, and wait if asked to. Return the job as it is then.

    Ray kills the job after `STOP_WAIT` seconds. Raise RunError if it has not ended 30 s later.
    """
    with reaching(client):
        client.stop_job(job.id)
    end = time.monotonic() + STOP_WAIT + 30.0
    while wait and not (job := find(client, job.id)).over:
        if time.monotonic() > end:
            raise RunError(f"job {job.id} has not ended within {STOP_WAIT + 30} s")
        time.sleep(0.5)
    return job
