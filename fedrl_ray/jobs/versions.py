"""What a cluster must have, compared with what a job was submitted from."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from packaging.requirements import Requirement

from ..common.errors import RunError, UserError

PACKAGES = ("ray", "torch", "numpy", "gymnasium", "fedrl-ray")
SUBMITTED_FROM = "FEDRL_SUBMITTED_FROM"
"""In a job's environment: `versions` and `requirements` of the submitter, as JSON."""


def here() -> dict[str, str]:
    """Versions of Python and of the main packages in this process."""
    return {"python": platform.python_version()} | {p: _version(p) or "none" for p in PACKAGES}


def submitted_from() -> str:
    """What a job is told about its origin."""
    return json.dumps({"versions": here(), "requirements": _requirements()})


def require_ray(found: str) -> None:
    """Raises UserError where the cluster's Ray is out of the range that this package runs on."""
    needed = next(r for r in map(Requirement, _requirements()) if r.name == "ray")
    if not needed.specifier.contains(found, prereleases=True):
        raise UserError(f"the cluster's Ray must be {needed.specifier}, it is {found}")


def on_arrival() -> None:
    """In the job's first process: say where the cluster differs from the submitter.

    Raises RunError where it lacks a package: there is nothing to run then.
    """
    origin: dict[str, Any] = json.loads(os.environ.get(SUBMITTED_FROM, "{}"))
    lacking = [text for r in origin.get("requirements", []) if (text := _lack(Requirement(r)))]
    if lacking:
        raise RunError(
            f"the cluster's Python ({sys.executable}) lacks {', '.join(lacking)}: every node needs "
            "what fedrl-ray requires; an image that has it is the simplest way"
        )
    found = here()
    there: dict[str, str] = origin.get("versions", {})
    differing = [f"{k} {found[k]} here, {v} there" for k, v in there.items() if found[k] != v]
    if differing:
        _remark(
            f"not as where this job was submitted: {'; '.join(differing)}; the same bits are "
            "promised under the same versions only"
        )


def _requirements() -> list[str]:
    """What the package needs at least, without its extras."""
    found = [Requirement(text) for text in requires("fedrl-ray") or []]
    return [str(r) for r in found if r.marker is None or r.marker.evaluate({"extra": ""})]


def _lack(requirement: Requirement) -> str | None:
    found = _version(requirement.name)
    if found is None:
        return requirement.name
    if requirement.specifier.contains(found, prereleases=True):
        return None
    return f"{requirement.name}{requirement.specifier} (it has {found})"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _remark(text: str) -> None:
    print(f"note: {text}", file=sys.stderr, flush=True)
