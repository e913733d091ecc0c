"""The two consoles of the command line: results and progress."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, redirect_stdout
from typing import TextIO

from rich.console import Console

console = Console(highlight=False, markup=False)
"""Results: standard output."""
notes = Console(stderr=True, highlight=False, markup=False)
"""Progress and remarks: standard error."""


def results_alone_on_stdout() -> AbstractContextManager[TextIO]:
    """Send what others print to standard error while the context lasts.

    Ray reports there that a worker died, and user code may print.
    """
    return redirect_stdout(sys.stderr)
