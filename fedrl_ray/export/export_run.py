"""`fedrl-ray export`: write a policy under another name, read it back, check it, rename it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..agents.execution_profile import single_thread
from ..common.errors import RunError, UserError, one_line
from ..common.json_values import nan_as_null
from .agreement import observe, require_agreement
from .card import model_card
from .card_text import card_text
from .formats import FORMATS
from .trained import last_evaluation, read_trained

CARD, CARD_TEXT = "model_card.json", "README.md"


def export_run(run: Path, output: Path, *, to: str, checkpoint: int | None) -> dict[str, Any]:
    """Write the folder `output` and return the model card.

    checkpoint: a round; None: the newest. Raises UserError: a checkpoint, option or package is
    missing, or `output` exists. Raises RunError: the export does not act as the trained policy,
    and nothing is left behind.
    """
    single_thread()
    _require_free(output)
    trained = read_trained(run, checkpoint)
    evaluation = last_evaluation(run, trained)
    spec, actions = trained.family.spec, trained.family.actions
    observations = observe(trained.experiment, trained.family, trained.act)
    with _aside(output) as folder:
        try:
            FORMATS[to].write(folder, trained.module, spec, actions)
        except RuntimeError as error:  # torch: the disk is full, or it cannot trace the policy
            raise RunError(f"{output}: cannot be written: {one_line(error)}") from None
        exported = FORMATS[to].read(folder, spec, actions)
        agreement = require_agreement(
            trained.act, exported, trained.module, observations, spec, actions.resolution
        )
        card: dict[str, Any] = nan_as_null(
            model_card(
                trained.experiment,
                trained.family,
                trained.manifest,
                to=to,
                evaluation=evaluation,
                agreement=agreement,
                native=trained.is_native,
            )
        )
        (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        (folder / CARD_TEXT).write_text(card_text(card), encoding="utf-8")
    return card


def _require_free(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output}: exists already; export needs a new or empty folder")


@contextmanager
def _aside(output: Path) -> Iterator[Path]:
    """Yield a folder that is renamed to `output` if the block succeeds, and removed otherwise."""
    folder = output.absolute().parent / f".{output.absolute().name}.partial"
    shutil.rmtree(folder, ignore_errors=True)  # left by a killed export
    try:
        folder.mkdir(parents=True)
        yield folder
        folder.rename(output)
    except OSError as error:
        raise UserError(f"{output}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
