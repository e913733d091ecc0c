"""Errors that a user can cause. The command line prints them as one line and exits with 2."""

from __future__ import annotations

MOST_CHARACTERS = 2000
"""Of a message: what a file holds may be quoted in it, and may be long."""


class UserError(Exception):
    """A mistake in what was asked for; the message names the key, the rule and the value."""


class CheckpointError(UserError):
    """A checkpoint, or a part of one, that is not as it was written."""


class RunError(Exception):
    """A run that cannot go on, through no mistake in what was asked for."""


def one_line(error: BaseException | str) -> str:
    """An error in one line; of one that holds a traceback, what comes before and the last line."""
    text = str(error) or type(error).__name__
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1]}"


def printable(message: str) -> str:
    """A message as one printable line, whatever was quoted in it: what does not print, line ends
    and a terminal's control characters among it, is escaped."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "..."
