"""Who may run code on a cluster: Ray's token, and clusters that ask for none.

Whoever reaches an open Ray cluster runs code on it. `ray start` opens the head's port on every
interface, so an address on this machine says nothing about who else can reach the cluster.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from packaging.version import Version

from ..common.errors import UserError

OLDEST_RAY = "2.52"
"""The first Ray with token authentication."""
MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
ALLOW_OPEN = "FEDRL_ALLOW_OPEN_CLUSTER"
"""Set to 1: clusters without a token are used all the same."""

HOW_TO_SET = (
    "make a token on the head with `ray get-auth-token --generate`, start every node with "
    f"{MODE}=token, and give this machine the same token: {TOKEN_PATH}=FILE, or ~/.ray/auth_token"
)
OPT_OUT = f"(for a network that nobody else reaches: {ALLOW_OPEN}=1)"
OPEN_CLUSTER = (
    "this cluster asks for no token, so anyone who reaches it can run code on it: "
    f"{HOW_TO_SET} {OPT_OUT}"
)


def require_ray(version: str, *, where: str = "here") -> None:
    """Raises UserError for a Ray that knows no tokens; `where` it is found."""
    if Version(version) < Version(OLDEST_RAY):
        raise UserError(
            f"Ray must be {OLDEST_RAY} or later, the first with token authentication; "
            f"it is {version} {where}"
        )


def is_loopback(host: str) -> bool:
    """Whether a host name or address stays on this machine. Names are not looked up."""
    host = host.strip("[]").split("%")[0].lower()
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def allows_open() -> bool:
    """Whether the user has said that a cluster without a token will do."""
    return os.environ.get(ALLOW_OPEN) == "1"


def token_file() -> Path:
    """Where Ray looks for the token unless the environment holds it."""
    named = os.environ.get(TOKEN_PATH)
    return Path(named) if named else Path.home() / ".ray" / "auth_token"


def has_token() -> bool:
    """Whether a token is configured here. Raises UserError for a file that cannot be read: Ray
    would end the process."""
    if os.environ.get(TOKEN):
        return True
    path = token_file()
    try:
        return bool(path.read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        if not os.environ.get(TOKEN_PATH):
            return False
        raise UserError(f"{TOKEN_PATH}: {path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{TOKEN_PATH}: {path}: {error}") from None


def use_token() -> None:
    """Send the token from now on, also where the mode was not set. Raises UserError if there is
    none, or if it is switched off."""
    if os.environ.get(MODE, "token").lower() != "token":
        raise UserError(
            f"{MODE} is {os.environ[MODE]!r} here, but the cluster asks for a token: unset it"
        )
    if not has_token():
        raise UserError(f"the cluster asks for a token, and there is none here: {HOW_TO_SET}")
    _set_mode()


def _set_mode() -> None:
    if os.environ.get(MODE) == "token":
        return
    os.environ[MODE] = "token"
    if "ray" in sys.modules:  # it has read the environment already
        import ray

        ray._raylet.Config.initialize("")  # type: ignore[attr-defined]


def protect_token_file() -> str | None:
    """Keep the token to its owner. Ray writes ~/.ray/auth_token for all to read: that one is put
    right. Another file is left as it is; returns a remark on it."""
    path = token_file()
    if os.environ.get(TOKEN) or not path.is_file():
        return None
    state = path.stat()
    if not state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return None
    if not os.environ.get(TOKEN_PATH) and state.st_uid == os.getuid():
        path.chmod(0o600)
        return None
    return f"{path}: others on this machine can read the token; chmod 600 it"


def check_cluster(address: str) -> None:
    """What must hold before Ray joins the cluster at HOST:PORT, or `auto`: it asks for a token, and
    for the one that is here. Raises UserError.

    Inside a job nothing is asked: Ray gives it the cluster's own mode.
    """
    import ray

    require_ray(ray.__version__)
    if allows_open():
        return
    if not _on_loopback(address):
        _require_closed(address)
    elif _why_no_token() is None:
        _set_mode()
    elif not _in_job() and _probe(address) in ("ours", "closed"):
        raise UserError(
            f"RAY_ADDRESS {address}: the cluster asks for a token, and {_why_no_token()} here: "
            f"{HOW_TO_SET}"
        )


def check_joined(address: str, nodes: Iterable[str]) -> None:
    """An address on this machine says nothing about who else reaches the cluster; those of its
    nodes, known once it is joined, do. Raises UserError."""
    if _on_loopback(address) and not (all(map(is_loopback, nodes)) or allows_open()):
        _require_closed(address)


def _require_closed(address: str) -> None:
    """Raises UserError for a cluster in others' reach that asks for no token, or not for ours."""
    why = _why_no_token()
    if why is not None:
        raise UserError(
            f"RAY_ADDRESS {address}: other machines can reach this cluster, and {why} here: "
            f"{HOW_TO_SET} {OPT_OUT}"
        )
    lets_in = "ours" if _in_job() else _probe(address)
    if lets_in == "open":
        raise UserError(f"RAY_ADDRESS {address}: {OPEN_CLUSTER}")
    if lets_in == "closed":
        raise UserError(f"RAY_ADDRESS {address}: {wrong_token()}")
    _set_mode()


def _why_no_token() -> str | None:
    """Why none would be sent; None where one would. Jobs have the cluster's own mode from Ray."""
    if os.environ.get(MODE, "disabled" if _in_job() else "token").lower() != "token":
        return f"{MODE} switches the token off"
    return None if has_token() else "there is no token"


def _in_job() -> bool:
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def _on_loopback(address: str) -> bool:
    return is_loopback(address.rpartition(":")[0])


def wrong_token() -> str:
    """What is wrong where the cluster refuses our token."""
    source = TOKEN if os.environ.get(TOKEN) else token_file()
    return f"the token here ({source}) is not this cluster's"


def _probe(address: str) -> str:
    """Whom the cluster lets in; where nothing comes of asking, Ray's own attempt will tell."""
    command = [sys.executable, "-m", "fedrl_ray.ray_cluster.token_probe", address]
    try:
        probe = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return "unknown"
    return probe.stdout.strip() or "unknown"
