"""Screenshot of a report in a headless Chromium, for the README.

python benchmarks/screenshot.py runs/sweep/report.html docs/results/report.png --width 1100
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from browser import Browser, BrowserError

DRAWN = (
    "document.readyState === 'complete' && "
    "(document.body.dataset.drawn || !document.querySelector('.plot'))"
)
"""Condition for a ready page: a report has drawn its figures, any other page is loaded."""


def main() -> None:
    """Take the picture. If that fails, print the reason and exit with 1."""
    parser = argparse.ArgumentParser(description="Screenshot of a page in headless Chromium.")
    parser.add_argument("page", type=Path, help="HTML file")
    parser.add_argument("output", type=Path, help="PNG file to write, or a .pdf as it prints")
    parser.add_argument("--width", type=int, default=1100, help="CSS pixels; a phone has 390")
    parser.add_argument("--height", type=int, default=1600)
    parser.add_argument("--whole", action="store_true", help="the whole page, whatever its height")
    parser.add_argument("--from", dest="start", metavar="ID", help="scroll to this section first")
    options = parser.parse_args()
    try:
        take(options)
    except (BrowserError, OSError) as error:
        sys.exit(f"screenshot: {error}")
    print(options.output)


def take(options: argparse.Namespace) -> None:
    """Open the page, wait for its figures, write the picture."""
    if not options.page.is_file():
        raise BrowserError(f"{options.page}: no such file")
    with Browser(width=options.width, height=options.height) as browser:
        browser.open(options.page, ready=DRAWN)
        if options.start:
            browser.evaluate(f"document.getElementById({options.start!r}).scrollIntoView()")
        if options.output.suffix == ".pdf":
            browser.pdf(options.output)
        else:
            browser.screenshot(options.output, whole=options.whole)


if __name__ == "__main__":
    main()
