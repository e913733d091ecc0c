"""The job server of a cluster: its address, the decision to use it, and a client."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ..common.console import notes
from ..common.errors import RunError, UserError, flattened
from ..common.modules import is_installed
from ..ray_cluster import tokens

VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Variables that may hold the address, in the order of Ray's own commands."""
CONNECT, ANSWER = 5.0, 60.0
"""Seconds to wait for a connection, and for an answer."""
STARTING = 60.0
"""Seconds in which a new head may answer, but refuse jobs."""
_CHATTY = (  # loggers that report every upload and every connection
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)


def find_address(given: str | None) -> str:
    """Return the job server's URL, as given or from the environment.

    Raise UserError if there is none, if it is no http URL, or if it holds a password.
    """
    key, address = "--address", given
    for variable in VARIABLES:
        if address is None and os.environ.get(variable):
            key, address = variable, os.environ[variable]
    if address is None:
        raise UserError(
            f"--address: required, but missing; give http://HEAD:8265, or set {VARIABLES[0]}"
        )
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UserError(
            f"{key}: must be the URL of the head's job server, http://HEAD:8265; got {address!r}"
        )
    if "@" in parts.netloc:
        raise UserError(f"{key}: must hold no user name or password: clusters know tokens only")
    return address.rstrip("/")


def connect(given: str | None) -> Any:
    """Return a client of the cluster's job server.

    Raise UserError if the cluster must not be used (see docs/security.md), RunError if the server
    does not answer.
    """
    address = find_address(given)
    if not is_installed("aiohttp"):
        raise UserError("jobs need Ray's dashboard: pip install 'fedrl-ray[cluster]'")
    import ray

    tokens.require_ray(ray.__version__)
    _authorise(address, urlsplit(address).hostname or "")
    client = _client(address)
    tokens.require_ray(client.server_ray, where=f"at {address}")
    return client


def _authorise(address: str, host: str) -> None:
    """Raise UserError if the server must not be used. Print remarks on a token that is sent."""
    exposed = not tokens.is_loopback(host)
    if not tokens.authorise(address, lambda: _whom_it_lets_in(address), exposed=exposed):
        return
    remarks = [tokens.protect_token_file()]
    if exposed and address.startswith("http:"):
        remarks.append(
            f"the token goes to {address} in clear text; use https, or a tunnel: "
            f"ssh -L 8265:127.0.0.1:8265 {host}, then --address http://127.0.0.1:8265"
        )
    for remark in filter(None, remarks):
        notes.print(f"note: {remark}", soft_wrap=True)


def _whom_it_lets_in(address: str) -> tokens.Answer:
    """Ask without a token, so that it is sent only if the server wants one. Raise UserError."""
    status = _status_without_token(address)
    if status == 200:
        return "open"
    if status == 401:
        return "token"
    raise UserError(f"{address}: not a Ray job server (status {status} for /api/version)")


def _status_without_token(address: str) -> int:
    import requests

    try:
        with requests.Session() as session:
            session.trust_env = False  # neither proxies nor passwords of ~/.netrc
            session.verify = os.environ.get("REQUESTS_CA_BUNDLE", True)
            found = session.get(f"{address}/api/version", timeout=CONNECT, allow_redirects=False)
            return found.status_code
    except requests.RequestException as error:
        raise RunError(f"{address}: no job server answers there: {_reason(error)}") from None


def _client(address: str) -> Any:
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):  # imported late, so defined late
        """Ray's client with time limits, which it does not have itself."""

        def _do_request(self, method: str, endpoint: str, **keys: Any) -> Any:
            return super()._do_request(method, endpoint, timeout=(CONNECT, ANSWER), **keys)

        def submit_job(self, **keys: Any) -> str:
            """Submit a job as Ray's client does, but wait for a head that has just started."""
            end = time.monotonic() + STARTING
            while True:
                try:
                    return str(super().submit_job(**keys))
                except RuntimeError as error:
                    if "No available agent" not in str(error) or time.monotonic() > end:
                        raise
                    time.sleep(1.0)

        @property
        def server_ray(self) -> str:
            """Version of Ray on the cluster."""
            return str(self._server_ray_version)

    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    with _only(address):
        try:
            return Client(address, verify=os.environ.get("REQUESTS_CA_BUNDLE", True))
        except AuthenticationError:
            raise UserError(f"{address}: {tokens.wrong_token()}") from None
        except (ConnectionError, OSError, RuntimeError) as error:
            raise RunError(f"{address}: no job server answers there: {_reason(error)}") from None


@contextlib.contextmanager
def _only(address: str) -> Iterator[None]:
    """Set Ray's variable to this address meanwhile: Ray prefers it to the address it is given."""
    before = os.environ.get(VARIABLES[0])
    os.environ[VARIABLES[0]] = address
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLES[0]]
        else:
            os.environ[VARIABLES[0]] = before


def _reason(error: BaseException) -> str:
    """Return the reason in the system's words, which requests and urllib3 wrap several times."""
    text = flattened(error, None)
    for known in ("Connection refused", "timed out", "Name or service not known", "No route"):
        if known in text:
            return known
    return text[:200] or type(error).__name__
