"""`python -m fedrl_ray.ray_cluster.token_probe HOST:PORT`: ask a cluster's head whom it lets in.

The program prints an answer of `tokens.Answer`. It is a process of its own for two reasons: Ray's
mode holds for a whole process, and Ray prints refusals to the terminal.
"""

from __future__ import annotations

import os
import sys

from ray import _raylet
from ray._private.services import canonicalize_bootstrap_address
from ray.exceptions import AuthenticationError, RayError

from .tokens import MODE, Answer, has_token


def lets_in(address: str, mode: str) -> bool:
    """Return True if the head lets in a client of this mode (disabled, token).

    Raise RayError if the head does not answer.
    """
    os.environ[MODE] = mode
    _raylet.Config.initialize("")  # type: ignore[attr-defined]
    try:
        _raylet.GcsClient(address=address)  # type: ignore[attr-defined]
    except AuthenticationError:
        return False
    return True


def main(address: str) -> Answer:
    """Return the answer of the head at HOST:PORT, or of this machine's head for `auto`."""
    found = canonicalize_bootstrap_address(address) or address
    try:
        if lets_in(found, "disabled"):
            return "open"
        return "ours" if has_token() and lets_in(found, "token") else "closed"
    except RayError:
        return "unknown"


if __name__ == "__main__":
    print(main(sys.argv[1]))
