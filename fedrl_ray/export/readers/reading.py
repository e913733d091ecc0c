"""Which kind of policy a path holds, and whether it may be read."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import NamedTuple

from algorithms.types import Spec

from ...agents.evaluation import Act
from ...common.errors import UserError


class Kind(NamedTuple):
    """A kind of policy: what a person calls it, the module that reads it, whether reading it runs
    what it says."""

    text: str
    module: str
    is_pickle: bool


ONNX = Kind("an ONNX file", "onnx_policy", is_pickle=False)
TORCH = Kind("a program of torch.export (.pt2)", "torch_policy", is_pickle=True)
RL_MODULE = Kind("an RLModule", "rl_module_policy", is_pickle=True)
SB3 = Kind("a Stable-Baselines3 zip", "sb3_policy", is_pickle=True)

_BY_SUFFIX = {".onnx": ONNX, ".pt2": TORCH, ".zip": SB3}
_BY_CONTENT = {"policy.onnx": ONNX, "policy.pt2": TORCH, "class_and_ctor_args.pkl": RL_MODULE}
"""Of folders: what `export` writes, and RLlib."""


def read_policy(path: Path, spec: Spec, *, trust_pickle: bool) -> Act:
    """The policy a path holds, for environments of a spec. Raises UserError."""
    kind, path = find(path)
    if kind.is_pickle and not trust_pickle:
        raise UserError(
            f"{path}: {kind.text} is read with pickle, which runs whatever the file says; "
            "--trust-pickle reads one that you trust (an ONNX file needs no trust)"
        )
    act: Act = importlib.import_module(f"{__package__}.{kind.module}").read(path, spec)
    return act


def find(path: Path) -> tuple[Kind, Path]:
    """The kind of policy, and its file or folder. Raises UserError where there is none."""
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.is_dir():
        for name, kind in _BY_CONTENT.items():
            if (path / name).is_file():
                return kind, path if kind is RL_MODULE else path / name
    elif path.suffix in _BY_SUFFIX:
        return _BY_SUFFIX[path.suffix], path
    known = ", ".join(kind.text for kind in (ONNX, RL_MODULE, TORCH, SB3))
    raise UserError(f"{path}: neither a run directory nor a policy ({known})")
