"""Events of a run besides its rounds: log.jsonl, with one JSON object per event.

Events go through the standard library's logging. A program that holds a run can therefore add its
own handlers to the logger `fedrl_ray`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ..common.json_values import nan_as_null
from ..common.log import LOGGER

LOG = "log.jsonl"


class Event(NamedTuple):
    """A kind of event.

    level: of the standard library's logging. fields: those that not every event has.
    """

    level: int
    fields: tuple[str, ...]
    meaning: str


EVENTS = {
    "started": Event(
        logging.INFO,
        ("rounds", "backend", "packing", "memory", "workers"),
        "A run began. `rounds`: the budget; `backend`: `ray` or `in_process`; `packing`: agents of "
        "each worker; `memory`: estimated bytes of `agents`, `actors`, `driver` and "
        "`object_store`; `workers`: the `agents`, `node`, `hostname` and `pid` of each.",
    ),
    "resumed": Event(
        logging.INFO,
        ("rounds", "backend", "packing", "memory", "workers"),
        "A run goes on from the checkpoint of `round`; fields as for `started`.",
    ),
    "driver_died": Event(
        logging.WARNING, ("reason",), "The process of the driver died; a new one took over."
    ),
    "evaluation": Event(
        logging.INFO, ("nominal", "average", "worst", "seconds"), "Returns of the global policy."
    ),
    "checkpoint": Event(
        logging.INFO,
        ("bytes", "seconds"),
        "A checkpoint was written. `bytes`: size of the agents' states, nearly all of it.",
    ),
    "worker_lost": Event(
        logging.WARNING,
        ("kind", "reason", "node", "pid"),
        "A worker with its `agents` was lost. `kind`: `died`, `timeout`, or `exception`, whose "
        "`reason` is the traceback.",
    ),
    "rewind": Event(
        logging.WARNING, ("from_round", "to_round"), "All agents went back to a checkpoint."
    ),
    "checkpoint_refused": Event(
        logging.WARNING,
        ("reason",),
        "A checkpoint is torn or edited; the run goes back to an older one.",
    ),
    "rebuilt": Event(
        logging.WARNING,
        ("from_round",),
        "Under `on_failure: continue`: lost `agents` go on from their own states of `from_round`.",
    ),
    "outlier": Event(
        logging.WARNING,
        ("measure", "value", "times", "rounds"),
        "The metric `measure` of an agent is far above that of the other participants: `times` "
        "their median, or not finite. Told when the number of such `rounds` is 1, 2, 4, 8, ...",
    ),
    "completed": Event(logging.INFO, ("seconds", "digest"), "The budget was spent."),
    "interrupted": Event(
        logging.INFO, ("seconds", "digest"), "The run ended early, after a checkpoint."
    ),
    "failed": Event(logging.ERROR, ("reason",), "The run cannot go on; `reason` is one line."),
}
"""Every event of log.jsonl by name."""


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; the record's message is the event."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a record of another logger has no fields of its own."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        row = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        return json.dumps(nan_as_null(row | vars(record).get("fields", {})), default=str)


class LineFile(logging.Handler):
    """Appends records to a file, which it opens for each record because events are rare.

    If the disk is full, the event is dropped: training itself reports a full disk. Half a line
    never spoils the next one.
    """

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


def _ends_torn(file: BinaryIO) -> bool:
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


class RunLog:
    """log.jsonl of one run directory; the directory's name is the `run` of every event."""

    def __init__(self, directory: Path) -> None:
        self._run = directory.name
        # getLogger would keep the logger of every run for ever
        self._logger = logging.Logger(LOGGER, logging.INFO)
        self._logger.parent = logging.getLogger(LOGGER)
        self._logger.addHandler(LineFile(directory / LOG))

    def note(
        self, event: str, *, round: int, agents: Sequence[int] | None = None, **fields: Any
    ) -> None:
        """Write an event of `EVENTS`. agents: the agents that it concerns; None means all."""
        row = {"run": self._run, "round": round, "agents": agents} | fields
        self._logger.log(EVENTS[event].level, event, extra={"fields": row})


def to_stderr() -> None:
    """Send events to this process's standard error too; in an actor that is its log in Ray."""
    logger = logging.getLogger(LOGGER)
    if not any(isinstance(h, logging.StreamHandler) for h in logger.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
