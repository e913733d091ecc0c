"""Times and sizes of the files that a page is made of, to detect changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..reports.runs import LINEAGE
from ..runs.events import LOG
from ..runs.run_directory import CONFIG, EVALUATIONS, METRICS, SUMMARY
from ..sweeps.directory import FAILURE, SWEEP, TRIALS, is_sweep

Stamp = tuple[int, int]
"""Time of the last change in nanoseconds, and size in bytes."""

OF_RUN = (CONFIG, METRICS, EVALUATIONS, SUMMARY, LINEAGE, LOG, FAILURE)
OF_SWEEP = (SWEEP, TRIALS)


def stamps_of(paths: Sequence[Path]) -> dict[Path, Stamp]:
    """Return the stamp of every file that a page is made of."""
    return dict(_stamped(file for path in paths for file in _files(path)))


def is_there(path: Path) -> bool:
    """Return True if the path is a run, a sweep, or a folder with at least one of them."""
    return any(True for _ in _stamped(_heads(path)))


def _files(path: Path) -> Iterator[Path]:
    """Yield the files that may be read at a path: a run, a sweep, or a folder of both."""
    if _is_one(path):
        yield from _of_one(path)
    else:
        for below in _folders(path):
            if _is_one(below):
                yield from _of_one(below)


def _heads(path: Path) -> Iterator[Path]:
    for folder in (path, *_folders(path)):
        yield from (folder / name for name in (SWEEP, CONFIG))


def _is_one(path: Path) -> bool:
    return is_sweep(path) or (path / CONFIG).is_file()


def _of_one(path: Path) -> Iterator[Path]:
    if not is_sweep(path):
        yield from (path / name for name in OF_RUN)
        return
    yield from (path / name for name in OF_SWEEP)
    for trial in _folders(path / "trials"):
        yield from (trial / name for name in OF_RUN)


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(p for p in path.iterdir() if p.is_dir())
    except OSError:  # does not exist yet, or is a file
        return []


def _stamped(files: Iterable[Path]) -> Iterator[tuple[Path, Stamp]]:
    for file in files:
        try:
            found = file.stat()
        except OSError:
            continue
        yield file, (found.st_mtime_ns, found.st_size)
