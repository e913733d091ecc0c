"""What happened in a run besides its rounds: log.jsonl, a JSON object per event.

Written with the standard library's logging, so that a program that holds a run can add handlers
of its own to the logger `fedrl_ray`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ..common.json_values import nan_as_null
from ..common.log import LOGGER

LOG = "log.jsonl"


class Event(NamedTuple):
    """level: of the standard library's logging. fields: besides those that all events have."""

    level: int
    fields: tuple[str, ...]
    meaning: str


EVENTS = {
    "started": Event(
        logging.INFO,
        ("rounds", "backend", "packing", "memory", "workers"),
        "A new run. `rounds`: the budget; `backend`: `ray` or `in_process`; `packing`: agents of "
        "each worker; `memory`: bytes estimated, for `agents`, `actors`, `driver` and "
        "`object_store`; `workers`: the `agents`, `node`, `hostname` and `pid` of each.",
    ),
    "resumed": Event(
        logging.INFO,
        ("rounds", "backend", "packing", "memory", "workers"),
        "The same, of a run that goes on from the checkpoint of `round`.",
    ),
    "driver_died": Event(
        logging.WARNING, ("reason",), "The process that held the driver; this one is another."
    ),
    "evaluation": Event(
        logging.INFO, ("nominal", "average", "worst", "seconds"), "Returns of the global policy."
    ),
    "checkpoint": Event(
        logging.INFO,
        ("bytes", "seconds"),
        "One was written. `bytes`: of the agents' states, which are nearly all of it.",
    ),
    "worker_lost": Event(
        logging.WARNING,
        ("kind", "reason", "node", "pid"),
        "An actor with its `agents`. `kind`: `died`, `timeout`, or `exception`, whose `reason` is "
        "the traceback.",
    ),
    "rewind": Event(
        logging.WARNING, ("from_round", "to_round"), "All agents went back to a checkpoint."
    ),
    "checkpoint_refused": Event(
        logging.WARNING,
        ("reason",),
        "Torn or edited: passed over on the way back to one that is as it was written.",
    ),
    "rebuilt": Event(
        logging.WARNING,
        ("from_round",),
        "Under `on_failure: continue`: lost `agents` go on from their own states of `from_round`.",
    ),
    "completed": Event(logging.INFO, ("seconds", "digest"), "The budget was spent."),
    "interrupted": Event(logging.INFO, ("seconds", "digest"), "Ended before, after a checkpoint."),
    "failed": Event(logging.ERROR, ("reason",), "The run cannot go on; `reason` is one line."),
}
"""Every event of log.jsonl by name."""


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; its message is the event."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        row = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        return json.dumps(nan_as_null(row | getattr(record, "fields", {})), default=str)


class LineFile(logging.Handler):
    """Appends records to a file, opened for each: events are rare. Where the disk is full the
    event is dropped, as training itself will say so; half a line never spoils the next."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        line = self.format(record).encode() + b"\n"
        try:
            with self._path.open("ab+") as file:
                file.write(b"\n" + line if _ends_torn(file) else line)
        except OSError:
            pass


def _ends_torn(file: Any) -> bool:
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) != b"\n")


class RunLog:
    """log.jsonl of one run directory; its name is the `run` of every event."""

    def __init__(self, directory: Path) -> None:
        self._run = directory.name
        # not by getLogger, which would keep one of every run for ever
        self._logger = logging.Logger(LOGGER, logging.INFO)
        self._logger.parent = logging.getLogger(LOGGER)
        self._logger.addHandler(LineFile(directory / LOG))

    def note(
        self, event: str, *, round: int, agents: Sequence[int] | None = None, **fields: Any
    ) -> None:
        """Write an event of `EVENTS`. agents: those it is about; None: all."""
        row = {"run": self._run, "round": round, "agents": agents} | fields
        self._logger.log(EVENTS[event].level, event, extra={"fields": row})


def to_stderr() -> None:
    """Events also go to this process's standard error; in an actor that is its log in Ray."""
    logger = logging.getLogger(LOGGER)
    if not any(isinstance(h, logging.StreamHandler) for h in logger.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
