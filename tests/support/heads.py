"""A Ray head as an operator starts it: on its own ports, with a token."""

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
ATTEMPTS = 3
"""Attempts to start a head."""
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


def free_ports(count: int) -> list[int]:
    """Return as many different ports that nobody uses at the moment."""
    with contextlib.ExitStack() as open_together:
        probes = [open_together.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def node_ip() -> str:
    """Return this machine's address on a network, which is not loopback."""
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
    """Start a head, and end it with all its processes. Without a token it admits everybody."""
    folder = Path(tempfile.mkdtemp(prefix="fr-"))  # short: Ray's sockets lie in it
    environment = _environment(folder, token)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        yield _start_head(host, environment, folder, processes, cpus)
    finally:
        for process in reversed(processes):
            end(process)
        shutil.rmtree(folder, ignore_errors=True)


def add_node(to: Head, cpus: int) -> subprocess.Popen[bytes]:
    """Start another node of the same cluster on this machine, and wait until it has joined.

    It has a folder of its own, as on a machine of its own. Nodes that share a folder would install
    a job's packages over those that another node's processes are using.
    """
    folder = to.folder / f"n{len(to.processes)}"
    process = _start(to, cpus, f"--address={to.gcs}", f"--temp-dir={folder}")
    while "will now block" not in _log(to):
        assert process.poll() is None, _log(to)
        time.sleep(0.1)
    return process


def end(process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> None:
    """End a node, that is every process of its group."""
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


def _start_head(
    host: str,
    environment: dict[str, str],
    folder: Path,
    processes: list[subprocess.Popen[bytes]],
    cpus: int,
) -> Head:
    """Start a head; start it again on other ports if it ends, as somebody may have taken one."""
    for _ in range(ATTEMPTS):
        port, dashboard, client = free_ports(3)
        url, gcs = f"http://{host}:{dashboard}", f"{node_ip()}:{port}"
        found = Head(url, gcs, environment, folder, processes)
        process = _start(
            found,
            cpus,
            "--head",
            f"--port={port}",
            f"--dashboard-host={host}",
            f"--dashboard-port={dashboard}",
            f"--ray-client-server-port={client}",
            "--include-dashboard=true",
            f"--temp-dir={folder / f'ray{len(processes)}'}",
        )
        if _answers(found, process):
            return found
        end(process)
    raise AssertionError(f"the head does not start: {_log(found)}")


def _log(of: Head) -> str:
    """Return the log of the node that was started last."""
    return (of.folder / f"node-{len(of.processes) - 1}.log").read_text()


def _start(to: Head, cpus: int, *options: str) -> subprocess.Popen[bytes]:
    command = [RAY, "start", "--block", f"--num-cpus={cpus}", "--disable-usage-stats", *options]
    command.append("--dashboard-agent-listen-port=0")
    with (to.folder / f"node-{len(to.processes)}.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=to.environment, start_new_session=True, stdout=log, stderr=log
        )
    to.processes.append(process)
    return process


def _answers(found: Head, process: subprocess.Popen[bytes]) -> bool:
    """Wait for an answer of the job server, if only to ask for a token; False if the head ends."""
    for _ in range(1200):
        if _status(f"{found.url}/api/version") in (200, 401, 403):
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.1)
    raise AssertionError(f"no job server within two minutes: {_log(found)}")


def _status(url: str) -> int:
    """Return the status of an answer; 0 without one."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
