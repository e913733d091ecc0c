"""A headless Chromium that opens a file: pictures, PDF, scripts and messages of the console.

It is driven by the DevTools protocol over a pipe. Nothing listens on a port, and nothing but the
standard library is needed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
SECONDS = 60.0


class BrowserError(Exception):
    """No browser was found, or it did not do what was asked."""


def find_chromium() -> str | None:
    """Return the first Chromium on PATH; None without one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of one browser, as a context manager.

    `messages` holds the lines, warnings and errors of the console, and what the policy of the page
    refused. `requests` holds the addresses that the page asked for.
    """

    def __init__(self, *, width: int = 1100, height: int = 800) -> None:
        program = find_chromium()
        if program is None:
            raise BrowserError(f"no Chromium on PATH; looked for {', '.join(NAMES)}")
        self.messages: list[str] = []
        self.requests: list[str] = []
        self._number, self._answers, self._buffer = 0, dict[int, Any](), b""
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._start(program)
        self._session = ""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.resize(width, height)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser."""
        for end in (self._write, self._read):
            with contextlib.suppress(OSError):
                os.close(end)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._home.cleanup()

    def resize(self, width: int, height: int) -> None:
        """Set the size of the screen in CSS pixels; below a width of 600 it is a phone."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip

    def open(self, page: Path, *, ready: str = "document.readyState === 'complete'") -> None:
        """Load a file and wait until a condition holds in it."""
        self.send("Page.navigate", url=page.resolve().as_uri())
        self.wait_for(f"location.href !== 'about:blank' && ({ready})")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true. Raise BrowserError after a minute."""
        end = time.monotonic() + SECONDS
        while not self.evaluate(f"Boolean({condition})"):
            if time.monotonic() > end:
                raise BrowserError(f"waited in vain for: {condition}; console: {self.messages}")
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression as JSON; a promise is awaited."""
        result = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise BrowserError(_reason(result["exceptionDetails"]))
        return result["result"].get("value")

    def screenshot(self, output: Path, *, whole: bool = False) -> None:
        """Write a PNG of the screen, or of the whole page."""
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole,
                         **self._clip(whole))["data"]  # fmt: skip
        output.write_bytes(base64.b64decode(data))

    def pdf(self, output: Path) -> None:
        """Write the page as it prints."""
        data = self.send("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"]
        output.write_bytes(base64.b64decode(data))

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command of the DevTools protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + SECONDS
        while self._number not in self._answers:
            self._receive(end, method)
        answer = self._answers.pop(self._number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _start(self, program: str) -> None:
        """Start Chromium, which reads commands from descriptor 3 and answers on descriptor 4."""
        theirs_in, self._write = os.pipe()
        self._read, theirs_out = os.pipe()
        command = [program, *FLAGS, f"--user-data-dir={self._home.name}", "about:blank"]
        script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {**{k: size[k] for k in ("x", "y", "width", "height")}, "scale": 1}}

    def _receive(self, end: float, waiting_for: str) -> None:
        if not select.select([self._read], [], [], max(0.0, end - time.monotonic()))[0]:
            raise BrowserError(f"no answer to {waiting_for} within {SECONDS:.0f} s")
        data = os.read(self._read, 2**20)
        if not data:
            raise BrowserError("the browser has ended")
        *whole, self._buffer = (self._buffer + data).split(b"\0")
        for text in whole:
            self._note(json.loads(text))

    def _note(self, message: dict[str, Any]) -> None:
        """Store an answer to a command, or an event."""
        if "id" in message:
            self._answers[message["id"]] = message
            return
        parameters = message["params"]
        if message["method"] == "Runtime.consoleAPICalled":
            texts = (str(x.get("value", x.get("description"))) for x in parameters["args"])
            self.messages.append(f"{parameters['type']}: {' '.join(texts)}")
        elif message["method"] == "Runtime.exceptionThrown":
            self.messages.append(f"error: {_reason(parameters['exceptionDetails'])}")
        elif message["method"] == "Log.entryAdded":
            entry = parameters["entry"]
            self.messages.append(f"{entry['level']}: {entry['text']}")
        elif message["method"] == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])


def _reason(details: dict[str, Any]) -> str:
    return str(details.get("exception", {}).get("description") or details["text"])
