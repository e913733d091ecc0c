"""Folders for results without `--output`: runs/NAME, or runs/NAME-2, -3 and so on.

A folder is claimed by making it, which only one program can do. So programs that start at the same
moment get different numbers.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..common.errors import UserError
from .run_directory import only_beginnings

RUNS = Path("runs")


@contextmanager
def claimed_output(name: str, base: Path = RUNS) -> Iterator[Path]:
    """Yield a new folder that belongs to this program alone: runs/NAME, or the next free number.

    If the block fails before anything was written there, the folder is removed. Raises UserError
    if the folder cannot be made.
    """
    path = _claim(name, base)
    try:
        yield path
    except BaseException:
        if only_beginnings(path):
            shutil.rmtree(path, ignore_errors=True)
        raise


def latest_output(name: str, holds: str, base: Path = RUNS) -> Path:
    """Return the last of runs/NAME, runs/NAME-2 and so on that has begun.

    holds: name of the file that every folder which has begun holds. Raises UserError if there is
    none.
    """
    begun = [n for n in _numbers(name, base) if (_path(name, n, base) / holds).is_file()]
    if not begun:
        raise UserError(f"--resume: there is no run of {name!r} under {base}/; give --output")
    return _path(name, max(begun), base)


def _claim(name: str, base: Path) -> Path:
    number = max(_numbers(name, base), default=0) + 1
    while True:
        path = _path(name, number, base)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except FileExistsError as error:
            if path.parent.is_dir():  # another program was faster
                number += 1
                continue
            raise UserError(f"{path.parent}: {error.strerror}") from None
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; give --output") from None
        return path


def _path(name: str, number: int, base: Path) -> Path:
    return base / (name if number == 1 else f"{name}-{number}")


def _numbers(name: str, base: Path) -> list[int]:
    """Return the numbers of the folders of a name; the one without a number counts as 1."""
    found = {path.name for path in base.iterdir()} if base.is_dir() else set()
    suffixes = (f[len(name) + 1 :] for f in found if f.startswith(f"{name}-"))
    return [1] * (name in found) + [int(s) for s in suffixes if s.isdecimal()]
