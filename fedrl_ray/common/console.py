"""The two consoles of the command line: one for results, one for progress."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, redirect_stdout
from typing import TextIO

from rich.console import Console

console = Console(highlight=False, markup=False)
"""Console for results, on standard output."""
notes = Console(stderr=True, highlight=False, markup=False)
"""Console for progress and remarks, on standard error."""


def results_alone_on_stdout() -> AbstractContextManager[TextIO]:
    """Send to standard error what Ray and user code print while the context lasts.

    Ray reports the death of a worker on standard output, where a program reads our result.
    """
    return redirect_stdout(sys.stderr)
