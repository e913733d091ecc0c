"""Read what Weights & Biases writes offline."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def wandb_records(folder: Path) -> Iterator[Any]:
    """Yield the records of an offline run; the file is LevelDB's log, read by hand."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("*.wandb")
    data, at, part = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 2**15 - at % 2**15) < 7:  # no header fits into the end of a block
            at += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, at)
        part += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(part)
            part = b""


def row_of(items: Any) -> dict[str, Any]:
    """Return the items of a record as a row."""
    return {i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in items}
