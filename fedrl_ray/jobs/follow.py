"""A job's log at the user's terminal, over connections that may drop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from ..common.errors import RunError
from .records import reaching

PATIENCE = 300.0
"""Seconds without an answer from the cluster after which we give up."""
SILENCE = 60.0
"""Seconds without a line after which we connect again: the connection may be dead."""


def follow(client: Any, job_id: str, show: Callable[[str], None]) -> None:
    """Show the log from its beginning until the job has ended.

    Raise RunError if the cluster has not answered for `PATIENCE` seconds.
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
    """Show the log after its first `shown` characters until the connection ends.

    Return the number of characters shown so far. Each connection sends the log from its beginning.
    """
    import aiohttp

    seen = 0
    stream: AsyncIterator[str] = client.tail_job_logs(job_id)
    try:
        while True:
            async with asyncio.timeout(SILENCE):  # wait_for may lose a Ctrl-C when a line comes
                text = await anext(stream)
            if seen + len(text) > shown:
                show(text[max(0, shown - seen) :])
            seen += len(text)
            shown = max(shown, seen)
    except (StopAsyncIteration, TimeoutError, RuntimeError, OSError, aiohttp.ClientError):
        return shown
