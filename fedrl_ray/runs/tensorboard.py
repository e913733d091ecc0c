"""TensorBoard events of a run: one file that tells one history, with no step twice.

An event holds all values of a round. The file is written in this process and flushed before each
checkpoint, so a killed run has the events of every round up to its newest checkpoint.
"""

from __future__ import annotations

import math
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter, masked_crc32c

from ..agents.messages import RoundReport

EVENTS = "events"
VERSION = "brain.Event:2"
PARTIAL = ".events.partial"
"""Name of a file that is being rewritten; TensorBoard reads only names with `tfevents`."""
FLUSH_SECONDS = 10.0
"""Seconds after which a round's event is flushed although no checkpoint is due."""


class TensorBoardWriter:
    """Writes TensorBoard events into the run directory.

    Events of steps after `after`, which belong to rounds that a resume has undone, are dropped.
    """

    def __init__(self, directory: Path, *, after: int) -> None:
        self._folder = directory / EVENTS
        self._last = 0  # step of the last event
        self._open(after)

    def write(self, report: RoundReport) -> None:
        """Write means over agents, and the evaluation if there was one.

        Events of this and of later steps are dropped: a rewind has undone them.
        """
        if report.steps <= self._last:
            self.cut(report.steps - 1)
        values = [Summary.Value(tag=tag, simple_value=x) for tag, x in _scalars(report)]
        self._put(Event(wall_time=time.time(), step=report.steps, summary=Summary(value=values)))
        self._last = report.steps
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def cut(self, last_step: int) -> None:
        """Drop the events of all steps after `last_step`."""
        if last_step < self._last:
            self._writer.close()
            self._open(last_step)

    def flush(self) -> None:
        """Hand everything that was written to the disk."""
        self._writer.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush and let go of the file. Events that a full disk does not take are lost."""
        with suppress(OSError):
            self._writer.close()

    def _open(self, after: int) -> None:
        """Begin a file with the events up to the step `after`, and delete all older files.

        The new name sorts last. A TensorBoard that is running goes on to it, and forgets what it
        has read because the file begins a session at step 0.
        """
        self._folder.mkdir(exist_ok=True)
        old = sorted(self._folder.glob("*tfevents*"))
        kept = [event for event in _history(old) if event.step <= after]
        self._writer = RecordWriter(str(self._folder / PARTIAL))
        self._put(Event(wall_time=time.time(), file_version=VERSION))
        if old:
            start = SessionLog(status=SessionLog.START)
            self._put(Event(wall_time=time.time(), step=0, session_log=start))
        for event in kept:
            self._put(event)
        self.flush()
        os.replace(self._folder / PARTIAL, self._folder / _name_after(old))
        for path in old:
            path.unlink()
        self._last = kept[-1].step if kept else 0

    def _put(self, event: Event) -> None:
        self._writer.write(event.SerializeToString())


def _scalars(report: RoundReport) -> Iterator[tuple[str, float]]:
    for name, values in report.metrics.items():
        if not np.isnan(values).all():
            yield f"training/{name}", float(np.nanmean(values))
    yield "training/drift", report.drift
    if report.evaluation is not None:
        for name, value in report.evaluation.figures().items():
            if math.isfinite(value):
                yield f"evaluation/{name}", value


def _name_after(old: list[Path]) -> str:
    """Return a name that sorts after the old ones: seconds since 1970 and the host, as usual."""
    seconds = int(time.time())
    names = [path.name for path in old]
    while names and f"events.out.tfevents.{seconds:010d}" <= names[-1]:
        seconds += 1
    return f"events.out.tfevents.{seconds:010d}.{socket.gethostname()}"


def _history(files: list[Path]) -> list[Event]:
    """Return the events with values, in the order of their steps.

    An event at a lower step replaces those at and after its step; so does the start of a session,
    by which earlier versions hid what a resume had undone.
    """
    found: list[Event] = []
    for path in files:
        for event in _events(path):
            starts = event.session_log.status == SessionLog.START
            if starts or (found and event.summary.value and event.step < found[-1].step):
                while found and found[-1].step >= event.step:
                    found.pop()
            if event.summary.value:
                found.append(event)
    return found


def _events(path: Path) -> Iterator[Event]:
    """Yield the events of a file up to the first record that is torn."""
    with path.open("rb") as file:
        while (header := _checked(file, 8)) is not None:
            data = _checked(file, struct.unpack("<Q", header)[0])
            if data is None:
                return
            yield Event.FromString(data)


def _checked(file: BinaryIO, size: int) -> bytes | None:
    """Return the next `size` bytes of a TFRecord if the checksum behind them is right."""
    data, checksum = file.read(size), file.read(4)
    whole = len(checksum) == 4 and struct.unpack("<I", checksum)[0] == masked_crc32c(data)
    return data if whole else None
