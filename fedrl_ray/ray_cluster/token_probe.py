"""`python -m fedrl_ray.ray_cluster.token_probe HOST:PORT`: whom a cluster's head lets in.

Prints `open` (anyone), `ours` (whoever has the token configured here), `closed`, or `unknown` where
it does not answer. In a process of its own, because Ray's mode holds for a whole process, and its
refusals go to the terminal.
"""

from __future__ import annotations

import os
import sys

from ray import _raylet
from ray._private.services import canonicalize_bootstrap_address
from ray.exceptions import AuthenticationError, RayError

from .tokens import MODE, has_token


def lets_in(address: str, mode: str) -> bool:
    """Whether a client in a mode (disabled, token) is let in. Raises RayError where there is no
    answer."""
    os.environ[MODE] = mode
    _raylet.Config.initialize("")  # type: ignore[attr-defined]
    try:
        _raylet.GcsClient(address=address)  # type: ignore[attr-defined]
    except AuthenticationError:
        return False
    return True


def main(address: str) -> str:
    """`auto`: the cluster of this machine."""
    found = canonicalize_bootstrap_address(address) or address
    try:
        if lets_in(found, "disabled"):
            return "open"
        return "ours" if has_token() and lets_in(found, "token") else "closed"
    except RayError:
        return "unknown"


if __name__ == "__main__":
    print(main(sys.argv[1]))
