"""The server: a socket of its own, a thread per request, no word about each."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Sequence
from pathlib import Path

from werkzeug.serving import BaseWSGIServer, make_server

from ..common.errors import UserError
from .app import build
from .live import Live


def listen(host: str, port: int) -> socket.socket:
    """Opened here, not by the server: a port that is taken is one line. Raises UserError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UserError(f"--host {host}: {error.strerror}") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        raise UserError(f"--port {port} on --host {host}: {error.strerror}") from None
    return listener


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def url_of(listener: socket.socket) -> str:
    """Where the page is."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def make(paths: Sequence[Path], listener: socket.socket, host: str) -> BaseWSGIServer:
    """Reads the paths from now on; `serve_forever()` answers, until Ctrl-C or `shutdown()`."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    live = Live(paths)
    names = ["localhost", "127.0.0.1", "::1", host.lower()] if is_loopback(listener) else None
    app = build(live, hosts=names)
    live.start()
    address, port = listener.getsockname()[:2]
    return make_server(address, port, app.server, threaded=True, fd=listener.fileno())
