"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path

from .errors import UserError


def home_for_tilde(path: Path) -> Path:
    """Return a path with a home directory in place of `~` or `~NAME`.

    Shells do so only at the beginning of a word, so not in `--output=~/run`. Raises UserError if
    there is no such user.
    """
    try:
        return path.expanduser()
    except RuntimeError:
        raise UserError(f"{path}: there is no home directory {path.parts[0]}") from None
