"""Memory that this process holds, without what it has freed already."""

from __future__ import annotations

import ctypes
import gc

import psutil


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    return int(psutil.Process().memory_info().rss)


def resident_after_release() -> int:
    """Return the resident memory of this process in bytes, after freed memory is given back.

    An allocator keeps freed memory for the next environment, which would then seem to cost nothing.
    A large process takes some tenths of a second to give it back.
    """
    gc.collect()  # environments often refer to themselves, through a wrapper or a callback
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it
    if trim is not None:
        trim(ctypes.c_size_t(0))
    return resident()
