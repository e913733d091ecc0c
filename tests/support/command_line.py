"""The command line, run in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fedrl_ray.cli import main


def run_command(*arguments: object) -> int:
    """Run `fedrl-ray ARGUMENTS` as its entry function does; return the exit status.

    Afterwards `sys.path` is as before, and modules of the working directory can be imported anew.
    """
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fedrl-ray", *map(str, arguments)])
        patch.setattr(sys, "path", [*sys.path])
        try:
            main.main()
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            for name in set(sys.modules) - before:
                file = getattr(sys.modules[name], "__file__", None)
                if file is not None and Path(file).is_relative_to(Path.cwd()):
                    del sys.modules[name]
    return 0
