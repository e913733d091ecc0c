"""A lock on a directory, so that only one program at a time writes there."""

from __future__ import annotations

import contextlib
import errno
import logging
from pathlib import Path

from filelock import FileLock, Timeout

from ..common.errors import UserError
from ..common.log import LOGGER

LOCK = ".lock"
PATIENCE, MORE_PATIENCE = 5.0, 120.0
"""Seconds to wait for the program that holds the lock. A holder that is known to be ending is given
the longer wait: an NFS server frees the locks of a dead machine only after a minute or two."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class DirectoryLock:
    """A lock that this program holds from the constructor until `release` or its own end.

    A killed program holds nothing, even if a process that it forked in Python lives on: the fork
    closed its copy (docs/decisions/file-locks.md). The lock creates the directory if it is missing.
    A file system without locks is used unlocked, and the log warns of it.

    Raises UserError if another program holds the lock for `patience` seconds, or if the directory
    cannot be written.
    """

    def __init__(self, directory: Path, *, shown: str, doing: str, patience: float) -> None:
        self._lock = FileLock(
            directory / LOCK,
            timeout=patience,
            thread_local=False,  # any thread may release it
            fallback_to_soft=False,  # else a killed program leaves a lock that nobody releases
        )
        try:
            self._lock.acquire()
        except Timeout:
            raise UserError(f"--output {shown}: another program is {doing}") from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise UserError(f"--output {shown}: {error.strerror}") from None
            logging.getLogger(LOGGER).warning(
                "%s: its file system knows no locks: let no other program write there", shown
            )

    def release(self) -> None:
        """Let other programs write. A lock that is not held stays so."""
        with contextlib.suppress(OSError):  # this program's end releases it in any case
            self._lock.release()

    def __enter__(self) -> DirectoryLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
