"""`fedrl-ray train` in a process of its own, as a user would start it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

COMMAND = (sys.executable, "-m", "fedrl_ray", "train")


class Program:
    """A command that can be killed and started again. Its output goes to the file `log`."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command, self.environment = [*COMMAND, *arguments], dict(environment)
        self._log, self._from = log, 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the command, for the first time or again."""
        with self._log.open("ab") as file:
            self._from = file.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                self._command,
                env=self.environment,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    @property
    def pid(self) -> int:
        """Id of its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status; None while the command runs."""
        assert self._process is not None
        return self._process.poll()

    def output(self) -> str:
        """Return the output since the last start."""
        return self._log.read_bytes()[self._from :].decode(errors="replace").strip()

    def kill(self) -> None:
        """Kill the command and every process that it started in its session."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def ends_within(self, seconds: float) -> bool:
        """Wait for the command to end by itself. Return True if it did."""
        deadline = time.monotonic() + seconds
        while self.status is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.status is not None
