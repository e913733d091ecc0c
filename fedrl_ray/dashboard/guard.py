"""What the server refuses, and what it tells browsers to refuse."""

from __future__ import annotations

import base64
import functools
import hashlib
from urllib.parse import urlsplit

from dash import Dash
from flask import Response, abort, request

_CALLBACK = "/_dash-update-component"
"""The one place that takes a POST: Dash sends the question of a callback in its body."""


def guard(app: Dash, inline: str, hosts: list[str] | None) -> None:
    """GET only beside the callback; no script but the page's own, no request to elsewhere.

    hosts: names under which the page may be asked for, so that another site's page cannot read it
    by giving its own name this address; None: any.
    """
    server = app.server
    policy = functools.cache(lambda: _policy(app, inline))  # Dash adds scripts at its first request

    def headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy()
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def named() -> None:
        if hosts is not None and urlsplit(f"//{request.host}").hostname not in hosts:
            abort(400)

    server.before_request(named)  # not TRUSTED_HOSTS: werkzeug's cannot name an IPv6 address
    server.before_request(_read_only)
    server.after_request(headers)


def _read_only() -> None:
    if request.method != "GET" and (request.method, request.path) != ("POST", _CALLBACK):
        abort(405)


def _policy(app: Dash, inline: str) -> str:
    own = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    scripts = " ".join(["'self'", f"'sha256-{own}'", *app.csp_hashes()])
    return (
        f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
