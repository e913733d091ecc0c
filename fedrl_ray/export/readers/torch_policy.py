"""Programs of torch.export as policies. torch falls back to pickle to read some of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from algorithms.types import Array, Spec

from ...agents.evaluation import Act
from ...common.errors import UserError, one_line
from ...vector_envs.actions import ActionEncoding
from .actions import as_policy
from .quiet import quiet


def read(path: Path, spec: Spec, actions: ActionEncoding) -> Act:
    """Return the policy of a trusted file; reading it may unpickle.

    Raises UserError: it is not a program, or does not fit the spec.
    """
    try:
        with quiet():
            program = torch.export.load(path).module()
    except Exception as error:
        raise UserError(f"{path}: cannot be read as a torch program: {one_line(error)}") from None

    def raw_act(obs: Array) -> Any:
        with torch.no_grad():
            return program(torch.from_numpy(obs.copy())).numpy()

    return as_policy(path, raw_act, spec, actions)
