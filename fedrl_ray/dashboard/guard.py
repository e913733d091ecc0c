"""Requests that the server refuses quietly, and headers that make browsers refuse more."""

from __future__ import annotations

import base64
import functools
import hashlib
from urllib.parse import urlsplit

from dash import Dash
from flask import Response, abort, request
from werkzeug.exceptions import HTTPException

from .bodies import LIMIT, refusal

_CALLBACK = "/_dash-update-component"
"""The only path that accepts POST: Dash sends a callback's input in the body."""


def guard(app: Dash, inline: str, hosts: list[str] | None) -> None:
    """Accept GET only, except for the callback; allow the page's own scripts and server only.

    hosts: accepted names in the Host header; None accepts any name. The check stops DNS rebinding:
    another site cannot read the page by pointing its own name at this address.
    """
    server = app.server
    policy = functools.cache(lambda: _policy(app, inline))  # Dash adds scripts at the first request

    def headers(response: Response) -> Response:
        """Add the security headers to a response."""
        response.headers["Content-Security-Policy"] = policy()
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def named() -> None:
        """Refuse a request whose Host header names none of `hosts`."""
        if hosts is not None and urlsplit(f"//{request.host}").hostname not in hosts:
            abort(400)

    server.config["MAX_CONTENT_LENGTH"] = LIMIT
    server.register_error_handler(Exception, _quiet)
    server.before_request(named)  # werkzeug's TRUSTED_HOSTS cannot hold an IPv6 address
    server.before_request(_read_only)
    server.after_request(headers)


def _read_only() -> None:
    if request.method != "GET" and (request.method, request.path) != ("POST", _CALLBACK):
        abort(405)
    if request.method == "POST" and (status := refusal(request)) is not None:
        abort(status)


def _quiet(error: Exception) -> Response | HTTPException:
    """Answer an exception, which a request provoked in Dash, without a traceback.

    The page's own callback reports its errors itself.
    """
    return error if isinstance(error, HTTPException) else Response(status=400)


def _policy(app: Dash, inline: str) -> str:
    own = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    scripts = " ".join(["'self'", f"'sha256-{own}'", *app.csp_hashes()])
    return (
        f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
