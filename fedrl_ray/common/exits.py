"""Attempts to end the program: those of the user's code are errors, those of the user are not."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn

from .error_source import copy_attribution
from .errors import RunError


class StopAtOnce(BaseException):
    """A signal that ends the command at once, without a checkpoint; `status` is the exit status."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


def stop_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """Handle a signal by a StopAtOnce."""
    raise StopAtOnce(number)


@contextmanager
def exits_as_errors() -> Iterator[None]:
    """Raise RunError where the user's code would end the program.

    `sys.exit` in an environment would end an unfinished run with status 0 and without a message,
    and would end a Ray worker as if that were intended. The error's first line names the call; the
    traceback follows.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt, GeneratorExit, StopAtOnce):
        raise
    except BaseException as error:  # SystemExit, and what event loops raise to end a task
        raise _as_error(error) from None


def _as_error(error: BaseException) -> RunError:
    tb = error.__traceback__
    text = (
        f"{type(error).__name__}({error}) in {_place(tb)}, would end the program; an environment "
        "or another plug-in must raise an exception instead"
    )
    # without the chain: an error that the user's code had handled would look like the cause
    lines = traceback.format_exception(type(error), error, tb, chain=False)
    found = RunError(f"{text}\n{''.join(lines).rstrip()}")
    copy_attribution(error, found)
    return found


def _place(tb: TracebackType | None) -> str:
    """Return the innermost place of a traceback, above Python's own `exit`."""
    frames = [frame for frame in traceback.extract_tb(tb) if "_sitebuiltins" not in frame.filename]
    return f"{frames[-1].name}, {frames[-1].filename} line {frames[-1].lineno}"
