"""A Ray head as an operator would start one: on ports of its own, with a token."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BIN = Path(sys.executable).parent
RAY = str(BIN / "ray")
MINE = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS")


class Head(NamedTuple):
    """A running head."""

    url: str
    """Of its job server."""
    gcs: str
    """HOST:PORT that drivers and nodes join."""
    environment: dict[str, str]
    """That of processes which use it; HOME is a folder without a token."""
    folder: Path
    processes: list[subprocess.Popen[bytes]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def node_ip() -> str:
    """This machine's address on a network, which is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])


@contextlib.contextmanager
def head(
    *,
    token: str | None = "a-token-of-thirty-two-characters",
    host: str = "127.0.0.1",
    cpus: int = 4,
) -> Iterator[Head]:
    """Start a head, and end it with all its processes. Without a token anyone is let in."""
    folder = Path(tempfile.mkdtemp(prefix="fr-"))  # short: Ray's sockets lie in it
    environment = _environment(folder, token)
    port, dashboard = free_port(), free_port()
    options = [
        f"--port={port}",
        f"--dashboard-host={host}",
        f"--dashboard-port={dashboard}",
        f"--ray-client-server-port={free_port()}",
        "--include-dashboard=true",
        f"--temp-dir={folder / 'ray'}",
    ]
    found = Head(f"http://{host}:{dashboard}", f"{node_ip()}:{port}", environment, folder, [])
    try:
        _start(found, cpus, "--head", *options)
        _wait(found)
        yield found
    finally:
        for process in reversed(found.processes):
            end(process)
        shutil.rmtree(folder, ignore_errors=True)


def add_node(to: Head, cpus: int) -> subprocess.Popen[bytes]:
    """Another node of the same cluster, on this machine; it has joined.

    With a folder of its own, as on a machine of its own: nodes that share one install a job's
    packages over those that another node's processes are using.
    """
    folder = to.folder / f"n{len(to.processes)}"
    process = _start(to, cpus, f"--address={to.gcs}", f"--temp-dir={folder}")
    log = to.folder / f"node-{len(to.processes) - 1}.log"
    while "will now block" not in log.read_text():
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    return process


def end(process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> None:
    """End a node: every process of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    process.wait()


def _environment(folder: Path, token: str | None) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in MINE}
    added = {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
    }
    if token is not None:
        path = folder / "token"
        path.write_text(token)
        path.chmod(0o600)
        added |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}
    return kept | added


def _start(to: Head, cpus: int, *options: str) -> subprocess.Popen[bytes]:
    command = [RAY, "start", "--block", f"--num-cpus={cpus}", "--disable-usage-stats", *options]
    command.append("--dashboard-agent-listen-port=0")
    with (to.folder / f"node-{len(to.processes)}.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=to.environment, start_new_session=True, stdout=log, stderr=log
        )
    to.processes.append(process)
    return process


def _wait(found: Head) -> None:
    """Until the job server answers, if only to ask for a token."""
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{found.url}/api/version", timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            assert found.processes[0].poll() is None, (found.folder / "node-0.log").read_text()
            time.sleep(0.1)
    raise AssertionError("no job server within a minute")
