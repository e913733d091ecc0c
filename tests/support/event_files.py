"""TensorBoard's event files, read by hand and without hiding anything."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary


def values(folder: Path) -> Iterator[tuple[int, Summary.Value]]:
    """Yield (step, value) of every value in a folder's event files, as they lie there."""
    for file in sorted(folder.glob("events.out.tfevents.*")):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            at += 16 + length  # between them two checksums of four bytes
            yield from ((event.step, value) for value in event.summary.value)


def curves(folder: Path) -> list[tuple[int, str, float]]:
    """Return (step, tag, value) of every value in a folder's event files."""
    return [(step, value.tag, value.simple_value) for step, value in values(folder)]
