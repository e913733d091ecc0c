"""A cluster's job server: its address, whether it may be used, and a client of it."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ..common.console import notes
from ..common.errors import RunError, UserError
from ..ray_cluster import tokens

VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Where the address is looked for, as Ray's own commands do."""
CONNECT, ANSWER = 5.0, 60.0
"""Seconds to wait for a connection, and for an answer (of a first question: as for one)."""
STARTING = 60.0
"""Seconds in which a head that answers may not take jobs yet."""
_CHATTY = (  # they tell of every upload and every connection
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)


def find_address(given: str | None) -> str:
    """The job server's URL, as given or from the environment. Raises UserError."""
    key, address = "--address", given
    for variable in VARIABLES:
        if address is None and os.environ.get(variable):
            key, address = variable, os.environ[variable]
    if address is None:
        raise UserError(
            f"--address: required, but missing (or set {VARIABLES[0]}), as http://HEAD:8265"
        )
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UserError(
            f"{key} must be the URL of the head's job server, http://HEAD:8265, got {address!r}"
        )
    if "@" in parts.netloc:
        raise UserError(f"{key} must hold no user name or password: clusters know tokens only")
    return address.rstrip("/")


def connect(given: str | None) -> Any:
    """A client of the cluster's job server.

    Raises UserError where it may not be used (see `security`), RunError where it is not reached.
    """
    address = find_address(given)
    if importlib.util.find_spec("aiohttp") is None:
        raise UserError("jobs need Ray's dashboard: pip install 'fedrl-ray[cluster]'")
    import ray

    tokens.require_ray(ray.__version__)
    _authorise(address, urlsplit(address).hostname or "")
    client = _client(address)
    tokens.require_ray(client.server_ray, where=f"at {address}")
    return client


def _authorise(address: str, host: str) -> None:
    """Ask without a token first: it is sent only where it is wanted. Raises UserError."""
    if not (tokens.is_loopback(host) or tokens.has_token() or tokens.allows_open()):
        raise UserError(
            f"{address}: other machines can reach this cluster, and there is no token here: "
            f"{tokens.HOW_TO_SET} {tokens.OPT_OUT}"
        )
    status = _status_without_token(address)
    if status == 200:
        if not tokens.allows_open():
            raise UserError(f"{address}: {tokens.OPEN_CLUSTER}")
        return
    if status != 401:
        raise UserError(f"{address}: not a Ray job server (status {status} for /api/version)")
    _send_token(address, host)


def _send_token(address: str, host: str) -> None:
    try:
        tokens.use_token()
    except UserError as error:
        raise UserError(f"{address}: {error}") from None
    remarks = [tokens.protect_token_file()]
    if not tokens.is_loopback(host) and address.startswith("http:"):
        remarks.append(
            f"{address} gets the token in clear; better https, or a tunnel: "
            f"ssh -L 8265:127.0.0.1:8265 {host}, then --address http://127.0.0.1:8265"
        )
    for remark in filter(None, remarks):
        notes.print(f"note: {remark}", soft_wrap=True)


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
        """Ray's client with limits on waiting: its own has none."""

        def _do_request(self, method: str, endpoint: str, **keys: Any) -> Any:
            return super()._do_request(method, endpoint, timeout=(CONNECT, ANSWER), **keys)

        def submit_job(self, **keys: Any) -> str:
            """As Ray's, but patient with a head that has just been started."""
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
            """The version of Ray on the cluster."""
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
    """Ray lets the environment overrule an address that is given; here it names the same."""
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
    """The words of the system, which requests and urllib3 wrap several times."""
    text = " ".join(str(error).split())
    for known in ("Connection refused", "timed out", "Name or service not known", "No route"):
        if known in text:
            return known
    return text[:200] or type(error).__name__
