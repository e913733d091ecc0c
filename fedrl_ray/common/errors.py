"""Errors that end a command, and texts of errors on one line.

The command line exits with status 2 after a UserError and with status 1 after a RunError.
"""

from __future__ import annotations

MOST_CHARACTERS = 2000
"""Characters of the longest message that is printed: a message may quote a whole file."""


class UserError(Exception):
    """A mistake in the input. The message names the key, the rule and the value."""


class CheckpointError(UserError):
    """A checkpoint, or a part of one, that differs from what was written."""


class RunError(Exception):
    """A run that cannot continue although the input is sound."""


def one_line(error: BaseException | str) -> str:
    """Return an error on one line: its first line, and its last line if it has several.

    The last line of a traceback names the exception.
    """
    lines = _lines(error)
    return lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1]}"


def first_line(error: BaseException | str) -> str:
    """Return the first line of an error: Ray's messages go on with advice of many lines."""
    return _lines(error)[0]


def flattened(error: BaseException | str, most: int | None = 300) -> str:
    """Return an error's text with its line ends as spaces, cut to `most` characters."""
    return " ".join(str(error).split())[:most]


def _lines(error: BaseException | str) -> list[str]:
    """Return the lines of an error that are not empty; the name of its type if there are none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines or [type(error).__name__]


def printable(message: str) -> str:
    """Return a message as one printable line.

    Line ends, a terminal's control characters and all else that does not print are escaped: a
    message may quote a file.
    """
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "..."
