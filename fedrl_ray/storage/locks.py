"""One program at a time writes a directory."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import time
from pathlib import Path
from types import TracebackType

from ..common.errors import UserError
from ..common.log import LOGGER

LOCK = ".lock"
PATIENCE, MORE_PATIENCE = 5.0, 120.0
"""Seconds to wait for another program to end; more where the one before is known to be ending: an
NFS server frees the locks of a machine that died only after a minute or two."""
_HELD = (errno.EAGAIN, errno.EACCES)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class DirectoryLock:
    """Held from birth until `release`, or until this program ends in whatever way.

    The directory is made where there is none. A file system that knows no locks is used without,
    and that is told in the log. Raises UserError where another program holds it.
    """

    def __init__(self, directory: Path, *, shown: str, doing: str, patience: float) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file: int | None = os.open(directory / LOCK, flags, 0o644)
        except OSError as error:
            raise UserError(f"--output {shown}: {error.strerror}") from None
        deadline = time.monotonic() + patience
        try:
            while not self._take(self._file, shown):
                if time.monotonic() > deadline:
                    raise UserError(f"--output {shown}: another program is {doing}")
                time.sleep(0.1)
        except BaseException:
            self.release()
            raise

    @staticmethod
    def _take(file: int, shown: str) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                logging.getLogger(LOGGER).warning(
                    "%s: its file system knows no locks: let no other program write there", shown
                )
            elif error.errno not in _HELD:
                raise UserError(f"--output {shown}: {LOCK}: {error.strerror}") from None
            return error.errno in _NO_LOCKS
        return True

    def release(self) -> None:
        """Let others write."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # at once, though a forked process may have a copy
                fcntl.flock(self._file, fcntl.LOCK_UN)
            os.close(self._file)
        self._file = None

    def __enter__(self) -> DirectoryLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
