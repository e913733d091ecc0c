"""A Ray of this program's own: its start on this machine, and its end within seconds."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import ray
from ray._private.utils import get_num_cpus
from ray.job_config import JobConfig

from ..common.errors import UserError, flattened
from ..common.exits import StopAtOnce
from . import tokens

PATIENCE_SECONDS = 5.0
"""Longest wait for Ray to end its processes by itself."""
MOST_CHARACTERS = 107
"""Most characters of the path of a socket."""
_SOCKET = "/ray/session_2026-01-01_00-00-00_000000_{pid}/sockets/plasma_store"
"""The longest path of a socket, below the folder for Ray's files."""
NICENESS = "RAY_worker_niceness"
"""Ray's variable for what its workers add to the niceness of the program that starts it."""

_roots: list[psutil.Process] = []
"""The processes that `start` has started itself; all others of Ray are below them."""


def start(**options: Any) -> None:
    """Start Ray on this machine, for this program alone.

    It has as many CPUs as this process may use. Workers are as nice as this process, unless
    RAY_worker_niceness adds to it: Ray's own value, 15, would starve them on a busy machine.
    Raises UserError with a remedy. Whatever ends the start ends the processes started so far, too.
    """
    _require_folder()
    provide_token()
    os.environ.setdefault(NICENESS, "0")
    before = set(psutil.Process().children())
    atexit.register(shut_down)  # programs that use the library
    try:
        with _own_handlers():
            ray.init(
                address="local",
                include_dashboard=False,
                num_cpus=usable_cpus(),
                **_workers_paths(),
                **options,
            )
    except BaseException as error:
        _note_roots(before)
        shut_down()
        if isinstance(error, SystemExit):  # Ray's own handler of SIGTERM
            raise StopAtOnce(signal.SIGTERM) from None
        if isinstance(error, Exception):
            raise UserError(_reason(error)) from None
        raise
    _note_roots(before)
    tokens.protect_token_file()  # Ray may just have written it, readable for everybody


def shut_down() -> None:
    """End the Ray that `start` has started, if any, and wait until its processes are gone."""
    if not _roots:
        return
    processes = _tree()
    killer = threading.Timer(PATIENCE_SECONDS, _kill, [processes])
    killer.daemon = True
    killer.start()
    with contextlib.suppress(Exception):
        ray.shutdown()
    killer.cancel()
    _kill(processes)
    _roots.clear()


def usable_cpus() -> int:
    """Return the number of CPUs that this process may use, as `taskset` and containers limit it."""
    return max(1, min(int(get_num_cpus()), len(os.sched_getaffinity(0))))


def _require_folder() -> None:
    """Raise UserError if Ray cannot keep its files and sockets in its folder."""
    key = next((name for name in ("RAY_TMPDIR", "TMPDIR") if os.environ.get(name)), None)
    if key is None:
        return
    folder = os.environ[key]
    remedy = f"got {folder!r}; RAY_TMPDIR=/tmp names another folder for Ray's files"
    if not folder.isascii():
        raise UserError(f"{key}: must be ASCII, or Ray does not start; {remedy}")
    most = MOST_CHARACTERS - len(_SOCKET.format(pid=os.getpid()))
    if len(folder) > most:
        raise UserError(
            f"{key}: must have at most {most} characters, or the paths of Ray's sockets are too "
            f"long; {remedy}"
        )
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{key}: must be a writable folder: {error.strerror}; {remedy}") from None


def provide_token() -> None:
    """Give this process a token of its own if Ray could neither read nor write one in a file.

    Containers often have no home directory, or one that is read-only.
    """
    if os.environ.get(tokens.MODE, "token").lower() != "token" or os.environ.get(tokens.TOKEN):
        return
    if os.environ.get(tokens.TOKEN_PATH):
        tokens.has_token()  # raises UserError: the user has named a file
        return
    try:
        path = tokens.token_file()
        if path.exists():
            path.read_text(encoding="utf-8")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
    except (OSError, RuntimeError, UnicodeDecodeError):  # RuntimeError: no home directory
        os.environ[tokens.TOKEN] = secrets.token_hex(32)


def _reason(error: Exception) -> str:
    text = flattened(error) or type(error).__name__
    limit = _address_space()
    if limit is not None:
        remedy = f"`ulimit -v` allows {limit / 2**30:.1f} GiB: lift it with `ulimit -v unlimited`"
    else:
        remedy = "on a busy machine try again; memory, disk or processes may be too few"
    return (
        f"Ray does not start on this machine: {text}; {remedy}; "
        "--set federation.backend=in_process trains without Ray"
    )


def _address_space() -> int | None:
    """Return the limit of this process's address space in bytes; None if there is none."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _workers_paths() -> Any:
    """Return options that keep Ray from putting our working directory first in workers.

    Workers look into it last, as the command line does. If this package itself is there, they need
    it first, which is Ray's default.
    """
    package = Path(__file__).parents[2]
    return {} if package == Path.cwd() else {"job_config": JobConfig(_client_job=True)}


@contextlib.contextmanager
def _own_handlers() -> Iterator[None]:
    """Keep this program's handler of SIGTERM, which Ray replaces when it starts.

    If there is none, that of Ray may stay: it lets the program end in order.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if callable(before) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _note_roots(before: Iterable[psutil.Process]) -> None:
    _roots[:] = set(psutil.Process().children()) - set(before)


def _tree() -> list[psutil.Process]:
    found = list(_roots)
    for root in _roots:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += root.children(recursive=True)
    return found


def _kill(processes: Iterable[psutil.Process]) -> None:
    processes = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)
