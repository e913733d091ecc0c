"""Several Ray nodes on this machine, each a process group that can be killed like a machine.

Every node has its own loopback address (127.0.0.2, .3, ...), so other machines cannot reach it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..common.errors import RunError
from ..ray_cluster.tokens import MODE, TOKEN, TOKEN_PATH

START_SECONDS = 120.0
"""Seconds that a node has to start: it starts half a dozen processes."""
ATTEMPTS = 3
"""Attempts to start a node: it gives up after 30 s itself, which a busy machine may need."""
OBJECT_STORE_BYTES = 256 * 2**20
GCS_SECONDS = 10
"""Seconds that the other nodes wait for a dead head; Ray's default is 60 s."""
_UP = "Ray runtime started"


@dataclass(frozen=True)
class Node:
    """A node: `ray start --block` and all processes that it started."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    def pids(self) -> list[int]:
        """Return the ids of the node's processes, zombies left out."""
        return _in_sessions({self.process.pid})

    def is_up(self) -> bool:
        """Return True once the node has joined its cluster."""
        return _UP in self.log.read_text(errors="replace")

    def last_words(self) -> str:
        """Return the last line of the node's log."""
        lines = self.log.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")

    def kill(self) -> None:
        """Kill all processes of the node at once, as a power cut would."""
        while alive := self.pids():
            for pid in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        self.process.wait()


class LocalCluster:
    """A head and other nodes; the first of `nodes` is the head.

    cpus, gpus, custom: the resources that each node offers. They may exceed the machine's, because
    Ray only counts them.
    """

    def __init__(
        self,
        size: int,
        *,
        cpus: int,
        gpus: int = 0,
        custom: dict[str, float] | None = None,
    ) -> None:
        self.size = size
        self._offer = [
            f"--num-cpus={cpus}",
            f"--num-gpus={gpus}",
            f"--resources={json.dumps(custom or {})}",
        ]
        self._folder = Path(tempfile.mkdtemp(prefix="fr-"))  # short: Ray's sockets lie in it
        self._environment = _environment(self._folder)
        self._started = 0
        self._port = 0
        self.nodes: list[Node] = []

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of a program that uses this cluster."""
        return self._environment | {"RAY_ADDRESS": self.address}

    @property
    def address(self) -> str:
        """HOST:PORT of the head."""
        return f"{self.nodes[0].address}:{self._port}"

    def start(self) -> None:
        """Start the head and the nodes that are missing. Raise RunError if one does not start."""
        for attempt in range(1, ATTEMPTS + 1):
            if not self.nodes:
                self._require_up([self._start_head()], last=attempt == ATTEMPTS)
            if self.nodes and len(self.nodes) < self.size:
                join, missing = [f"--address={self.address}"], self.size - len(self.nodes)
                more = [self._start(join) for _ in range(missing)]
                self._require_up(more, last=attempt == ATTEMPTS)

    def add(self, *options: str, wrapper: Sequence[str] = ()) -> Node:
        """Start one more node. Raise RunError if it does not start.

        options: more options of `ray start`. wrapper: a command that starts it.
        """
        node = self._start([f"--address={self.address}", *options], wrapper)
        self._require_up([node], last=True)
        return node

    def kill(self, node: Node) -> None:
        """Kill a node and forget it."""
        self.nodes.remove(node)
        node.kill()

    def kill_all(self) -> None:
        """Kill every node; `start` then makes a new cluster."""
        while self.nodes:
            self.kill(self.nodes[-1])

    def close(self) -> None:
        """Kill every node and remove the files that Ray wrote."""
        self.kill_all()
        shutil.rmtree(self._folder, ignore_errors=True)

    def node_of(self, pid: int) -> Node | None:
        """Return the node that a process runs on, or None."""
        session = _session(pid)
        return next((node for node in self.nodes if node.process.pid == session), None)

    def processes(self, title: str) -> list[int]:
        """Return ids of processes whose title, which Ray sets, begins so (`ray::RayWorker`)."""
        found = []
        for pid in _in_sessions({node.process.pid for node in self.nodes}):
            with contextlib.suppress(psutil.Error):
                if " ".join(psutil.Process(pid).cmdline()).startswith(title):
                    found.append(pid)
        return found

    def _start(self, options: Sequence[str], wrapper: Sequence[str] = ()) -> Node:
        number, self._started = self._started, self._started + 1
        taken = {node.address for node in self.nodes}
        address = next(a for a in (f"127.0.0.{i}" for i in range(2, 255)) if a not in taken)
        command = [*wrapper, sys.executable, "-P", "-m", "ray.scripts.scripts", "start", "--block"]
        command += [
            *self._offer,
            *options,
            f"--node-ip-address={address}",
            f"--temp-dir={self._folder / str(number)}",  # its own: nodes start at the same time
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            "--dashboard-agent-listen-port=0",
            "--disable-usage-stats",
        ]
        log = self._folder / f"node-{number}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                command,
                env=self._environment,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        self.nodes.append(Node(address, process, log))
        return self.nodes[-1]

    def _start_head(self) -> Node:
        self._port = free_port()
        client = f"--ray-client-server-port={free_port()}"
        return self._start(["--head", f"--port={self._port}", "--include-dashboard=false", client])

    def _require_up(self, nodes: Sequence[Node], *, last: bool) -> None:
        """Wait for nodes and kill those that do not start. Raise RunError at the `last` attempt."""
        deadline = time.monotonic() + START_SECONDS
        for node in nodes:
            while not node.is_up():
                if node.process.poll() is not None or time.monotonic() > deadline:
                    words = node.last_words()
                    self.kill(node)
                    if last:
                        raise RunError(f"a node of the local cluster does not start: {words}")
                    break
                time.sleep(0.05)


def free_port() -> int:
    """Return a port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", 0))
        return int(probe.getsockname()[1])


def _environment(folder: Path) -> dict[str, str]:
    """Return variables with a new token, unless the user has switched tokens off."""
    kept = {k: v for k, v in os.environ.items() if k not in (TOKEN, TOKEN_PATH, "RAY_ADDRESS")}
    kept["RAY_USAGE_STATS_ENABLED"] = "0"
    kept["RAY_gcs_rpc_server_reconnect_timeout_s"] = str(GCS_SECONDS)
    if os.environ.get(MODE, "token") != "token":
        return kept
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    return kept | {MODE: "token", TOKEN_PATH: str(token)}


def _in_sessions(sessions: set[int]) -> list[int]:
    """Return ids of the processes of these sessions, zombies left out."""
    return [p for p in psutil.pids() if _session(p) in sessions and not _is_zombie(p)]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:  # it has ended
        return True
