"""Programs of torch.export as policies. torch reads them with pickle where nothing else will do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from algorithms.types import Array, Spec

from ...agents.evaluation import Act
from ...common.errors import UserError, one_line
from .actions import as_policy
from .quiet import quiet


def read(path: Path, spec: Spec) -> Act:
    """Only for files that are trusted. Raises UserError."""
    try:
        with quiet():
            program = torch.export.load(path).module()
    except Exception as error:
        raise UserError(f"{path}: does not read as a torch program: {one_line(error)}") from None

    def raw_act(obs: Array) -> Any:
        with torch.no_grad():
            return program(torch.from_numpy(obs.copy())).numpy()

    return as_policy(path, raw_act, spec)
