"""The two consoles of the command line: one for results, one for progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from rich.console import Console

from .streams import LastingStream, stdout_for_results

console = Console(highlight=False, markup=False)
"""Console for results, on standard output."""
notes = Console(stderr=True, highlight=False, markup=False)
"""Console for progress and remarks, on standard error."""


def print_result(text: str, *, end: str = "\n") -> bool:
    """Print text as it is to where results go; return False if nobody reads it any more."""
    console.file.write(text + end)
    console.file.flush()
    return getattr(console.file, "loss", None) is None


@contextmanager
def results_alone_on_stdout() -> Iterator[LastingStream]:
    """Print nothing but results on standard output while the context lasts.

    Ray reports the death of a worker there, and simulators print there, where a program reads our
    result. Yield the stream of the results.
    """
    with stdout_for_results() as results:
        before = console._file
        console.file = cast(IO[str], results)
        try:
            yield results
        finally:
            console._file = before
