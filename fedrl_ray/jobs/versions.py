"""Versions at the submitter of a job, compared with those on the cluster."""

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
"""Variable of a job that holds `versions` and `requirements` of the submitter as JSON."""


def here() -> dict[str, str]:
    """Return the versions of Python and of the main packages in this process."""
    return {"python": platform.python_version()} | {p: _version(p) or "none" for p in PACKAGES}


def submitted_from() -> str:
    """Return the value of `SUBMITTED_FROM` for a job that this process submits."""
    return json.dumps({"versions": here(), "requirements": _requirements()})


def require_ray(found: str) -> None:
    """Raise UserError if this package does not support the cluster's version of Ray."""
    needed = next(r for r in map(Requirement, _requirements()) if r.name == "ray")
    if not needed.specifier.contains(found, prereleases=True):
        raise UserError(f"the cluster's Ray must be {needed.specifier}; it is {found}")


def on_arrival() -> None:
    """Print the differences between the cluster and the submitter, in a job's first process.

    Raise RunError if the cluster lacks a package that fedrl-ray requires.
    """
    origin: dict[str, Any] = json.loads(os.environ.get(SUBMITTED_FROM, "{}"))
    lacking = [text for r in origin.get("requirements", []) if (text := _lack(Requirement(r)))]
    if lacking:
        raise RunError(
            f"the cluster's Python ({sys.executable}) lacks {', '.join(lacking)}: every node needs "
            "the packages that fedrl-ray requires; an image that has them is the simplest way"
        )
    found = here()
    there: dict[str, str] = origin.get("versions", {})
    differing = [f"{k} {found[k]} here, {v} there" for k, v in there.items() if found[k] != v]
    if differing:
        _remark(
            f"versions differ from those of the submitter: {'; '.join(differing)}; only equal "
            "versions give results that are equal bit by bit"
        )


def _requirements() -> list[str]:
    """Return the requirements of fedrl-ray without its extras."""
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
