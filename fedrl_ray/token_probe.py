"""`python -m fedrl_ray.token_probe HOST:PORT`: whom a cluster's head lets in.

Prints `open` (anyone), `ours` (whoever has the token configured here) or `closed`. In a process of
its own, because Ray's mode holds for a whole process, and its refusals go to the terminal.
"""

from __future__ import annotations

import os
import sys

from ray import _raylet
from ray._private.services import canonicalize_bootstrap_address

from .security import MODE


def lets_in(address: str, mode: str) -> bool:
    """Whether a client in a mode (disabled, token) is let in."""
    os.environ[MODE] = mode
    _raylet.Config.initialize("")  # type: ignore[attr-defined]
    try:
        _raylet.GcsClient(address=address)  # type: ignore[attr-defined]
    except Exception:  # whatever the refusal: the caller says what it means
        return False
    return True


def main(address: str) -> str:
    """`auto`: the cluster of this machine."""
    found = canonicalize_bootstrap_address(address) or address
    if lets_in(found, "disabled"):
        return "open"
    return "ours" if lets_in(found, "token") else "closed"


if __name__ == "__main__":
    print(main(sys.argv[1]))
