"""Ray's tokens: the rule that decides which clusters we use, and where our token is sent.

Everybody who reaches an open Ray cluster can run code on it. `ray start` opens the head's port on
every interface, so an address on this machine does not show who else can reach the cluster.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, cast

from packaging.version import Version

from ..common.errors import UserError
from ..common.modules import command_of

OLDEST_RAY = "2.52"
"""The first Ray with token authentication."""
MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
ALLOW_OPEN = "FEDRL_ALLOW_OPEN_CLUSTER"
"""Variable that a user sets to 1 to use clusters that ask for no token."""

HOW_TO_SET = (
    "make a token on the head with `ray get-auth-token --generate`, start every node with "
    f"{MODE}=token, and give this machine the same token: {TOKEN_PATH}=FILE, or ~/.ray/auth_token"
)
OPT_OUT = f"(for a network that nobody else reaches: {ALLOW_OPEN}=1)"
OPEN_CLUSTER = (
    "this cluster asks for no token, so anyone who reaches it can run code on it: "
    f"{HOW_TO_SET} {OPT_OUT}"
)

Answer = Literal["open", "token", "ours", "closed", "unknown"]
"""Answer to the question whom a cluster lets in.

open: anybody. token: clients with a token; ours was not tried. ours: clients with our token.
closed: clients with another token than ours. unknown: nobody asked, or the cluster did not answer,
so Ray's own attempt will show it.
"""


def require_ray(version: str, *, where: str = "here") -> None:
    """Raise UserError if a Ray is too old to know tokens; `where` says whose Ray it is."""
    if Version(version) < Version(OLDEST_RAY):
        raise UserError(
            f"Ray must be {OLDEST_RAY} or later, the first with token authentication; "
            f"it is {version} {where}"
        )


def is_loopback(host: str) -> bool:
    """Return True if a host name or address stays on this machine. Names are not looked up."""
    host = host.strip("[]").split("%")[0].lower()
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def allows_open() -> bool:
    """Return True if the user accepts clusters that ask for no token."""
    return os.environ.get(ALLOW_OPEN) == "1"


def token_file() -> Path:
    """Return the file in which Ray looks for the token if the environment does not hold it."""
    named = os.environ.get(TOKEN_PATH)
    return Path(named) if named else Path.home() / ".ray" / "auth_token"


def has_token() -> bool:
    """Return True if a token is configured here.

    Raise UserError if the token file cannot be read, because Ray would end the process.
    """
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


def protect_token_file() -> str | None:
    """Close the token file to other users, or return a remark on a file that is left open.

    Ray writes ~/.ray/auth_token readable for everybody. We change the mode of that file only, and
    only if it belongs to this user.
    """
    if os.environ.get(TOKEN):
        return None
    path = token_file()
    if not path.is_file():
        return None
    state = path.stat()
    if not state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return None
    if not os.environ.get(TOKEN_PATH) and state.st_uid == os.getuid():
        path.chmod(0o600)
        return None
    return f"{path}: others on this machine can read the token; close it with chmod 600"


def authorise(
    cluster: str,
    ask: Callable[[], Answer],
    *,
    exposed: bool,
    open_will_do: bool = False,
    unset_mode: str = "token",
) -> bool:
    """Decide whether to use a cluster, and whether to send it our token.

    cluster: its name in errors. ask: asks the cluster whom it lets in. exposed: other machines
    reach its address, so nothing is asked without a token. open_will_do: a cluster that asks for
    no token is accepted, as it is if the user allows open clusters. unset_mode: Ray's mode if
    RAY_AUTH_MODE is not set.

    Return True if the token is sent from now on. Raise UserError if the cluster must not be used.
    """
    if exposed and not allows_open():
        _require_token(f"{cluster}: other machines can reach this cluster", OPT_OUT, unset_mode)
    answer = ask()
    if answer == "open":
        if not (open_will_do or allows_open()):
            raise UserError(f"{cluster}: {OPEN_CLUSTER}")
        return False
    if answer != "unknown":
        _require_token(f"{cluster}: the cluster asks for a token", "", unset_mode)
    if answer == "closed":
        raise UserError(f"{cluster}: {wrong_token()}")
    if _missing_token(unset_mode) is not None:
        return False
    send_token()
    return True


def check_cluster(address: str) -> None:
    """Raise UserError unless Ray may join the cluster at HOST:PORT, or at `auto`.

    An address on this machine is accepted without a token at first: `check_joined` judges it by
    the addresses of the cluster's nodes.
    """
    import ray

    require_ray(ray.__version__)
    if not allows_open():  # otherwise Ray joins in the mode that the user has set
        _authorise_joining(address, exposed=not _on_loopback(address))


def check_joined(address: str, nodes: Iterable[str]) -> None:
    """Raise UserError if a cluster joined at a loopback address has nodes that others can reach.

    It may stay joined if it asks for our token, or if the user allows open clusters.
    """
    if _on_loopback(address) and not (all(map(is_loopback, nodes)) or allows_open()):
        _authorise_joining(address, exposed=True)


def wrong_token() -> str:
    """Return the reason for a refusal of our token, with the place it comes from."""
    source = TOKEN if os.environ.get(TOKEN) else token_file()
    return f"the token here ({source}) is not this cluster's"


def _authorise_joining(address: str, *, exposed: bool) -> None:
    authorise(
        f"RAY_ADDRESS {address}",
        lambda: _whom_the_head_lets_in(address, exposed=exposed),
        exposed=exposed,
        open_will_do=not exposed,
        unset_mode="disabled" if _in_job() else "token",  # Ray gives a job the cluster's mode
    )


def _whom_the_head_lets_in(address: str, *, exposed: bool) -> Answer:
    """Ask the head, but only if its answer can change the decision: that takes a process."""
    if _in_job() or (not exposed and _missing_token("token") is None):
        return "unknown"
    return _probe(address)


def _require_token(reason: str, hint: str, unset_mode: str) -> None:
    missing = _missing_token(unset_mode)
    if missing is not None:
        raise UserError(f"{reason}, and {missing} {hint}".rstrip())


def _missing_token(unset_mode: str) -> str | None:
    """Return why no token would be sent, and what to do about it; None if one would be sent."""
    if os.environ.get(MODE, unset_mode).lower() != "token":
        remedy = "unset it" if MODE in os.environ else HOW_TO_SET
        return f"{MODE} switches the token off here: {remedy}"
    return None if has_token() else f"there is no token here: {HOW_TO_SET}"


def send_token() -> None:
    """Make Ray send the token from now on, in this process and in those it starts."""
    if os.environ.get(MODE) == "token":
        return
    os.environ[MODE] = "token"
    if "ray" in sys.modules:  # Ray has read the environment already
        import ray

        ray._raylet.Config.initialize("")  # type: ignore[attr-defined]


def _in_job() -> bool:
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def _on_loopback(address: str) -> bool:
    return is_loopback(address.rpartition(":")[0])


def _probe(address: str) -> Answer:
    """Return the head's answer; `unknown` if it gives none within 30 s."""
    command = [*command_of("fedrl_ray.ray_cluster.token_probe"), address]
    try:
        probe = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return "unknown"
    return cast("Answer", probe.stdout.strip() or "unknown")
