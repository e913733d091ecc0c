"""The HTTP server: its own socket, one thread per request, no request log."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Sequence
from pathlib import Path

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from ..common.errors import UserError
from .app import build
from .live import Live

PATIENCE = 30.0
"""Seconds that a thread waits for the next bytes of a request or of its reader."""


class QuietHandler(WSGIRequestHandler):
    """A request handler that prints nothing, whatever arrives, and ends silent connections."""

    timeout = PATIENCE

    def log(self, type: str, message: str, *args: object) -> None:
        """Drop a line of the request log, which would quote the request."""


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket. Raises UserError in one line, such as for a port in use."""
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
    """Return True if only this machine can reach the socket."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def url_of(listener: socket.socket) -> str:
    """Return the address of the page."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def make(paths: Sequence[Path], listener: socket.socket, host: str) -> BaseWSGIServer:
    """Start to read the paths and return the server.

    Its `serve_forever()` answers requests until Ctrl-C or `shutdown()`.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    live = Live(paths)
    names = ["localhost", "127.0.0.1", "::1", host.lower()] if is_loopback(listener) else None
    app = build(live, hosts=names)
    live.start()
    address, port = listener.getsockname()[:2]
    return make_server(
        address,
        port,
        app.server,
        threaded=True,
        request_handler=QuietHandler,
        fd=listener.fileno(),
    )
