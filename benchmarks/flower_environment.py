"""A virtual environment for Flower's simulation, because Flower pins another Ray."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
REQUIREMENTS = Path(__file__).parent / "flower" / "requirements.txt"
SHARED = ("torch", "numpy", "gymnasium")


def flower_python(folder: Path = ROOT / "build" / "flower") -> Path:
    """Return the interpreter of the environment.

    Make the environment if it does not exist or its requirements have changed. Raise RuntimeError
    with pip's last line if that fails.
    """
    python, mark = folder / "bin" / "python", folder / "installed.txt"
    wanted = REQUIREMENTS.read_text() + shared_pins()
    if mark.exists() and mark.read_text() == wanted:
        return python
    pins = folder / "constraints.txt"
    run([sys.executable, "-m", "venv", str(folder)])
    pins.write_text(shared_pins())
    # torch comes first, as in the Makefile.
    for what in (["torch"], ["--requirement", str(REQUIREMENTS)]):
        run([str(python), "-m", "pip", "install", "--quiet", "--constraint", str(pins), *what])
    mark.write_text(wanted)
    return python


def shared_pins() -> str:
    """Return the lines of constraints.txt that both environments share."""
    lines = (ROOT / "constraints.txt").read_text().splitlines(keepends=True)
    return "".join(line for line in lines if line.partition("==")[0] in SHARED)


def versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of packages in an environment."""
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    command = [str(python), "-c", code, *packages]
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return dict(zip(packages, words, strict=True))


def run(command: list[str]) -> None:
    """Run a command. Raise RuntimeError with its last line if it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise RuntimeError(f"{' '.join(command[1:4])}: {lines[-1] if lines else done.returncode}")
