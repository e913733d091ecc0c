"""Memory that this process holds, without what it has freed already."""

from __future__ import annotations

import ctypes
import gc

import psutil


def resident() -> int:
    """Return the resident memory of this process in bytes, after the allocator's spare is released.

    The allocator keeps freed memory for the next environment, which would then seem to cost
    nothing.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
    if trim is not None:
        trim(ctypes.c_size_t(0))
    return int(psutil.Process().memory_info().rss)


def resident_after_collection() -> int:
    """Return `resident` after a garbage collection.

    Environments often refer to themselves, through a wrapper or a callback. A collection takes some
    tenths of a second in a large process.
    """
    gc.collect()
    return resident()
