"""The command line, run in this process."""

from __future__ import annotations

import sys

import pytest

from fedrl_ray.cli import main


def run_command(*arguments: object) -> int:
    """Run `fedrl-ray ARGUMENTS` as its entry function does; return the exit status.

    `sys.path`, which the entry function changes, is restored.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fedrl-ray", *map(str, arguments)])
        patch.setattr(sys, "path", [*sys.path])
        try:
            main.main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0
