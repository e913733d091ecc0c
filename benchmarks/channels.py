"""Seconds per exchange of one round between the driver and K workers, by three transports.

    python benchmarks/channels.py --output docs/results

The transports are the direct channel, Ray's messages and Ray's compiled graphs (see `exchange.py`).
The exchanges of the three alternate within one run, so the load of the machine is the same for all.
`channel_faults.py` then adds a slow worker, some of the workers only, and a killed worker. A child
process measures each case, so that a hang or a crash of Ray ends that case only. Writes
channels.json and channels.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from channels_table import FAULTS, TRANSPORTS, WARM_UP, Row, tables

os.environ.setdefault("RAY_CGRAPH_get_timeout", "30")  # seconds; the default is 10
os.environ.setdefault("RAY_CGRAPH_submit_timeout", "30")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

WORKERS, SIZES = (2, 4), (20_000, 1_000_000)
SILENCE_SECONDS = 150.0
"""Longest time without a measurement, after which a case is ended as hung."""
Tell = Callable[[Row], None]


def main() -> None:
    """Measure all cases and faults, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=30, help="exchanges per transport and repeat")
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    args = parser.parse_args()
    rows: list[Row] = []
    for repeat in range(args.repeats):
        for workers in WORKERS:
            for size in SIZES:
                case = {"repeat": repeat, "workers": workers, "size": size}
                rows += [case | row for row in guarded(measure, workers, size, args.rounds)]
    for fault in FAULTS:
        for name in TRANSPORTS:
            case = {"transport": name, "fault": fault}
            rows += [case | row for row in guarded(inject, name, fault)]
    args.output.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row) for row in rows)
    (args.output / "channels.json").write_text(f"[\n{lines}\n]\n")
    (args.output / "channels.md").write_text(tables(rows))
    print(tables(rows))


def guarded(work: Callable[..., None], *args: Any) -> list[Row]:
    """Run a case in a child process; return its rows, with a last one that says how it ended."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=work_and_tell, args=(theirs, work, *args))
    child.start()
    theirs.close()
    rows: list[Row] = []
    try:
        while ours.poll(SILENCE_SECONDS):
            rows.append(ours.recv())
        rows.append({"error": f"hung: no measurement for {SILENCE_SECONDS:g} s"})
    except EOFError:
        child.join(30)
        rows += [{"error": f"crashed: exit code {child.exitcode}"}] if child.exitcode else []
    child.kill()
    print(time.strftime("%H:%M:%S"), work.__name__, *args, rows[-1:], flush=True)
    return rows


def work_and_tell(to: Connection, work: Callable[..., None], *args: Any) -> None:
    """Run a case on a Ray of its own."""
    import ray

    ray.init(address="local", num_cpus=8, include_dashboard=False, log_to_driver=False)
    work(to.send, *args)
    to.close()
    ray.shutdown()


def measure(tell: Tell, workers: int, size: int, rounds: int) -> None:
    """Time the exchanges of all transports in turn; leave a transport out after an error."""
    from exchange import Message, Transport, exchange, parameters, started

    message = Message(parameters(size))
    running: dict[str, Transport] = {}
    for turn in range(WARM_UP + rounds):
        for name in sorted(TRANSPORTS, key=lambda name: (TRANSPORTS.index(name) + turn) % 3):
            try:
                began = time.perf_counter()
                if turn == 0:
                    running[name] = started(name, workers, size)
                if name in running:
                    exchange(running[name], message, workers)
                seconds = round(time.perf_counter() - began, 6)
            except Exception as error:
                running.pop(name, None)
                tell({"transport": name, "turn": turn, "error": f"{type(error).__name__}: {error}"})
            else:
                tell({"transport": name, "turn": turn, "seconds": seconds})
    for transport in running.values():
        transport.close()


def inject(tell: Tell, name: str, fault: str) -> None:
    """Inject one fault into one transport, and tell what was observed."""
    from channel_faults import FAULTS

    tell(FAULTS[fault](name))


if __name__ == "__main__":
    main()
