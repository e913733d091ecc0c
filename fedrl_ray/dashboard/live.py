"""The newest state of the paths, read by one thread for all browsers.

The thread reads only while a browser asks, and only after a file has changed. Drawing is expensive.
After each drawing it rests four times as long as the drawing took, so that a sweep on the same
machine keeps the processor.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..common.errors import UserError
from ..reports.data import ReportData, read
from ..reports.headline import headline
from ..reports.section import Section
from ..reports.sections import sections
from ..reports.verdict.cards import CardGroup, card_groups
from .parts import Part, part_of
from .stamps import Stamp, is_there, stamps_of
from .trials import TrialRow, trial_rows

PERIOD = 2.0
"""Seconds between two checks of the files."""
REST = 4.0
"""Rest after a drawing, as a multiple of the time that it took."""
AWAY = 90.0
"""Seconds after the last request until reading pauses; a hidden tab asks once a minute."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The content of the page at one moment."""

    version: int = 0
    """Grows with each change; 0 before the first reading."""
    title: str = ""
    headline: tuple[str, ...] = ()
    cards: tuple[CardGroup, ...] = ()
    rows: tuple[TrialRow, ...] = ()
    parts: tuple[Part, ...] = ()
    waiting: tuple[Path, ...] = ()
    """Paths without a run or a sweep so far."""
    problem: str = ""
    """Error that keeps the newest state from being shown; the rest is then older."""
    changed: float | None = None
    """Time of the last change of a file, in seconds since 1970."""


class Live:
    """Keeps a snapshot of some paths up to date."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._snapshot = Snapshot()
        self._stamps: dict[Path, Stamp] | None = None
        self._undrawn: ReportData | None = None
        self._draw_from = 0.0
        self._asked = threading.Event()
        self._first = threading.Event()
        self._last_asked = time.monotonic()

    def start(self) -> None:
        """Start the reader thread, which ends with the process."""
        threading.Thread(target=self._watch, name="dashboard-reader", daemon=True).start()

    def snapshot(self, wait: float = 0.0) -> Snapshot:
        """Return the newest snapshot at once; `wait` is how many seconds to wait for the first."""
        self._last_asked = time.monotonic()
        self._asked.set()
        self._first.wait(wait)
        return self._snapshot

    def refresh(self) -> None:
        """Read the files if one has changed, and draw if the rest after drawing is over."""
        stamps = stamps_of(self._paths)
        if stamps != self._stamps:
            self._stamps = stamps
            self._try(self._read)
        if self._undrawn is not None and time.monotonic() >= self._draw_from:
            self._try(self._draw)
        self._first.set()

    def _watch(self) -> None:
        while True:
            self._asked.clear()  # a request during the reading causes another reading
            self.refresh()
            time.sleep(PERIOD)
            if time.monotonic() - self._last_asked > AWAY:
                self._asked.wait()

    def _try(self, step: Callable[[], None]) -> None:
        """Run a step; if it fails, show the error and keep the old state.

        A file may be replaced while it is read; the next reading then succeeds.
        """
        try:
            step()
        except UserError as error:
            self._publish(problem=str(error))
        except Exception as error:  # the reader must not end while the page is open
            self._publish(problem=f"{type(error).__name__}: {error}")

    def _read(self) -> None:
        stamps = self._stamps or {}
        there = [path for path in self._paths if is_there(path)]
        waiting = tuple(path for path in self._paths if path not in there)
        if not there:
            self._undrawn = None
            self._publish(
                title="", headline=(), cards=(), rows=(), parts=(), waiting=waiting, problem=""
            )
            return
        self._undrawn = read(there)
        self._publish(
            title=self._undrawn.title,
            rows=tuple(trial_rows(self._undrawn, stamps)),
            waiting=waiting,
            problem="",
            changed=max(time_ns for time_ns, _ in stamps.values()) / 1e9,
        )

    def _draw(self) -> None:
        data, self._undrawn = self._undrawn, None
        assert data is not None
        before = time.monotonic()
        try:
            lines = tuple(headline(data).split("\n"))
            parts = tuple(part_of(section) for section in _in_order(sections(data)))
            self._publish(headline=lines, cards=tuple(card_groups(data.studies)), parts=parts)
        finally:
            self._draw_from = time.monotonic() + REST * (time.monotonic() - before)

    def _publish(self, **changes: Any) -> None:
        self._snapshot = replace(self._snapshot, version=self._snapshot.version + 1, **changes)


def _in_order(found: list[Section]) -> list[Section]:
    """Put missing runs after the figures, because the table of trials names them already."""
    last = {"missing": 1, "runs": 2, "configurations": 2, "made-with": 2}
    return sorted(found, key=lambda section: last.get(section.id, 0))
