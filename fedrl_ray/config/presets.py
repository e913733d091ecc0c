"""Presets: the experiment files of tune_configs/, which a wheel carries inside the package."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ..common.errors import UserError
from ..common.log import LOGGER
from ..common.paths import home_for_tilde
from ..common.spelling import several_nearest

FOLDER = "tune_configs"
SUFFIXES = (".yaml", ".yml")


def presets() -> dict[str, Path]:
    """Return the experiment files that come with the package, by name.

    They do not depend on the working directory.
    """
    package = Path(__file__).parents[1]
    # A wheel holds the folder in the package; a source checkout has it beside the package.
    inside, beside = package / FOLDER, package.parent / FOLDER
    folder = inside if inside.is_dir() else beside
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def experiment_file(config: str | Path) -> Path:
    """Return the file that a user means by a path or by the name of a preset.

    A `Path`, and a text with a separator or the suffix of a YAML file, is always a path. Any other
    text is a path if such a file exists, and otherwise the name of a preset: a folder of that name,
    which `--output` may have made, is no experiment. In a path, `~` is the home directory. Logs one
    line if another file may be meant. Raises UserError with the nearest names if there is neither.
    """
    path = Path(config)
    if isinstance(config, Path) or os.sep in config or path.suffix in SUFFIXES:
        path = home_for_tilde(path)
        _hint_at_preset(path)
        return path
    known = presets()
    if os.path.exists(path) and not os.path.isdir(path):
        if config in known:
            _note(f"{config}: the file in this folder is read, not the preset of that name")
        return path
    if config not in known:
        raise UserError(
            f"{config}: no such file, and no preset is called {config!r}"
            f"{several_nearest(config, known)}; see `fedrl-ray list`"
        )
    for other in (config + suffix for suffix in SUFFIXES):
        if os.path.exists(other) and not os.path.samefile(other, known[config]):
            _note(f"{config}: the preset is read, not the file {other} in this folder")
    return known[config]


def _hint_at_preset(path: Path) -> None:
    """Raise UserError if a path does not exist but a preset has its name."""
    if not os.path.lexists(path) and path.stem in presets():
        raise UserError(f"{path}: no such file; the preset of this name is {path.stem!r}")


def _note(text: str) -> None:
    logging.getLogger(LOGGER).warning("%s", text)
