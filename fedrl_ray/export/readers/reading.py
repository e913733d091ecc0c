"""Kinds of stored policies: how a path is recognised, and whether the user must trust it.

Readers import late, because each kind needs packages that the others do not need.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from algorithms.types import Spec

from ...agents.evaluation import Act
from ...common.errors import UserError
from ...vector_envs.actions import ActionEncoding, encoding_of_spec


def _read_onnx(path: Path, spec: Spec, actions: ActionEncoding) -> Act:
    from . import onnx_policy

    return onnx_policy.read(path, spec, actions)


def _read_torch(path: Path, spec: Spec, actions: ActionEncoding) -> Act:
    from . import torch_policy

    return torch_policy.read(path, spec, actions)


def _read_rl_module(path: Path, spec: Spec, actions: ActionEncoding) -> Act:
    from . import rl_module_policy

    return rl_module_policy.read(path, spec, actions)


def _read_sb3(path: Path, spec: Spec, actions: ActionEncoding) -> Act:
    from . import sb3_policy

    return sb3_policy.read(path, spec, actions)


class Kind(NamedTuple):
    """A kind of stored policy, described by `text` in messages.

    is_pickle: reading such a file runs code that it may contain.
    """

    text: str
    read: Callable[[Path, Spec, ActionEncoding], Act]
    is_pickle: bool


ONNX = Kind("an ONNX file", _read_onnx, is_pickle=False)
TORCH = Kind("a program of torch.export (.pt2)", _read_torch, is_pickle=True)
RL_MODULE = Kind("an RLModule", _read_rl_module, is_pickle=True)
SB3 = Kind("a Stable-Baselines3 zip", _read_sb3, is_pickle=True)

_BY_SUFFIX = {".onnx": ONNX, ".pt2": TORCH, ".zip": SB3}
_BY_CONTENT = {"policy.onnx": ONNX, "policy.pt2": TORCH, "class_and_ctor_args.pkl": RL_MODULE}
"""Kinds of folders, by a file in them that `export` or RLlib writes."""


def read_policy(
    path: Path, spec: Spec, actions: ActionEncoding | None = None, *, trust_pickle: bool
) -> Act:
    """Return the policy of a path, for environments of a spec.

    actions: the encoding of the environments' action space, in which the policy acts; None: the
    learner's own space.

    Raises UserError: the path holds no policy, the policy does not fit the spec, or reading it runs
    code and the user does not trust it.
    """
    kind, path = find(path)
    if kind.is_pickle and not trust_pickle:
        raise UserError(
            f"{path}: reading {kind.text} unpickles it, which runs code that the file contains; "
            "--trust-pickle reads a file that you trust (an ONNX file needs no trust)"
        )
    return kind.read(path, spec, actions or encoding_of_spec(spec))


def find(path: Path) -> tuple[Kind, Path]:
    """Return the kind of a policy, and its file or folder. Raises UserError: there is none."""
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
