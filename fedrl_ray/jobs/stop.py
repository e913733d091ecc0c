"""`fedrl-ray stop`: a signal to the job, and what comes of it."""

from __future__ import annotations

import time
from typing import Any

from ..common.errors import RunError
from .records import Job, find, reaching
from .submission import STOP_WAIT


def stop(client: Any, job: Job, *, wait: bool) -> Job:
    """Ask the job to end after its round, and wait until it has; the job then.

    Ray kills it `STOP_WAIT` seconds later. Raises RunError where it has not ended even then.
    """
    with reaching(client):
        client.stop_job(job.id)
    end = time.monotonic() + STOP_WAIT + 30.0
    while wait and not (job := find(client, job.id)).over:
        if time.monotonic() > end:
            raise RunError(f"job {job.id} has not ended in {STOP_WAIT + 30} s")
        time.sleep(0.5)
    return job
