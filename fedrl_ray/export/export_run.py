"""`fedrl-ray export`: the policy is written aside, read back, checked, and then renamed."""

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
    """Make the folder `output`; returns the model card. Raises UserError, or RunError where what
    was written does not act as the trained policy: then nothing is left behind."""
    single_thread()
    _require_free(output)
    trained = read_trained(run, checkpoint)
    evaluation = last_evaluation(run, trained)
    spec = trained.family.spec
    observations = observe(trained.experiment, trained.family, trained.act)
    with _aside(output) as folder:
        try:
            FORMATS[to].write(folder, trained.module, spec)
        except RuntimeError as error:  # torch's: a full disk, a policy that it cannot trace
            raise RunError(f"{output}: cannot be written: {one_line(error)}") from None
        agreement = require_agreement(
            trained.act, FORMATS[to].read(folder, spec), trained.module, observations, spec
        )
        card: dict[str, Any] = nan_as_null(
            model_card(
                trained.experiment,
                trained.family,
                trained.manifest,
                to=to,
                evaluation=evaluation,
                agreement=agreement,
                native=hasattr(trained.module, "rl_module"),
            )
        )
        (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        (folder / CARD_TEXT).write_text(card_text(card), encoding="utf-8")
    return card


def _require_free(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output}: is there already; export makes a new folder")


@contextmanager
def _aside(output: Path) -> Iterator[Path]:
    """A folder that takes its name when the block ends well, and is gone when it does not."""
    folder = output.absolute().parent / f".{output.absolute().name}.partial"
    shutil.rmtree(folder, ignore_errors=True)  # of an export that was killed
    try:
        folder.mkdir(parents=True)
        yield folder
        folder.rename(output)
    except OSError as error:
        raise UserError(f"{output}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
