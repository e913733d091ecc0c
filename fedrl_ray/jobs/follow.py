"""A job's log at the user's terminal, through connections that drop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from ..common.errors import RunError
from .records import reaching

PATIENCE = 300.0
"""Seconds without any answer of the cluster after which the log is left."""
SILENCE = 60.0
"""Seconds without a line after which the connection is made anew: it may be dead."""


def follow(client: Any, job_id: str, show: Callable[[str], None]) -> None:
    """Show the log from its beginning until the job has ended.

    Raises RunError where the cluster has not answered for `PATIENCE` seconds.
    """
    shown, lost = 0, 0.0
    while True:
        shown = asyncio.run(_tail(client, job_id, show, shown))
        try:
            with reaching(client):
                over = client.get_job_status(job_id).is_terminal()
        except RunError as error:
            lost = lost or time.monotonic()
            if time.monotonic() - lost > PATIENCE:
                raise RunError(f"{error} (the job may still be running)") from None
        else:
            lost = 0.0
            if over:
                break
        time.sleep(1.0)
    with contextlib.suppress(RunError), reaching(client):
        show(client.get_job_logs(job_id)[shown:])


async def _tail(client: Any, job_id: str, show: Callable[[str], None], shown: int) -> int:
    """Show what comes after the first `shown` characters; how many have been shown then.

    Each connection tells the log from its beginning. Ends when the connection does.
    """
    import aiohttp

    seen = 0
    stream: AsyncIterator[str] = client.tail_job_logs(job_id)
    try:
        while True:
            text = await asyncio.wait_for(anext(stream), SILENCE)
            if seen + len(text) > shown:
                show(text[max(0, shown - seen) :])
            seen += len(text)
            shown = max(shown, seen)
    except (StopAsyncIteration, TimeoutError, RuntimeError, OSError, aiohttp.ClientError):
        return shown
