"""`python -m fedrl_ray`: the command line; what the jobs of a cluster run."""

from __future__ import annotations

import os
import sys


def _arrive() -> None:
    """Prepare a job, before it imports anything that a cluster may lack."""
    import signal

    from .common.errors import RunError
    from .jobs.versions import on_arrival

    try:
        on_arrival()
    except RunError as error:
        sys.exit(f"error: {error}")
    # A cluster's processes may come with Ctrl-C blocked or ignored; sweeps are stopped by it.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    # `python -m` puts the working directory first, where a file queue.py would hide Python's own.
    if sys.path[0] == os.getcwd() and not sys.flags.safe_path:
        sys.path.append(sys.path.pop(0))
    from .jobs.versions import SUBMITTED_FROM

    if SUBMITTED_FROM in os.environ:
        _arrive()
    from .cli.main import main

    main()
