"""The formats of `export`: how each is written, and how it is read back.

Writers import late, because each format needs packages that the others do not need.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from algorithms.types import Spec

from ..agents.evaluation import Act
from ..vector_envs.actions import ActionEncoding
from .readers.reading import ONNX, RL_MODULE, TORCH, Kind

if TYPE_CHECKING:
    from torch import nn


class Format(NamedTuple):
    """A format, and its file in the exported folder ("" is the folder itself)."""

    file: str
    writer: Callable[[Path, nn.Module, Spec, ActionEncoding], None]
    kind: Kind
    packages: tuple[str, ...]
    """Packages beside torch, whose versions go into the model card."""

    def write(self, folder: Path, policy: nn.Module, spec: Spec, actions: ActionEncoding) -> None:
        """Write a policy that acts in the environment's own space.

        Raises UserError: a package is missing, or the format cannot hold the policy.
        """
        self.writer(folder / self.file, policy, spec, actions)

    def read(self, folder: Path, spec: Spec, actions: ActionEncoding) -> Act:
        """Return the policy as another program would read it."""
        return self.kind.read(folder / self.file, spec, actions)


def _write_rl_module(path: Path, policy: nn.Module, spec: Spec, actions: ActionEncoding) -> None:
    from . import rl_module

    rl_module.write(path, policy, spec, actions)


def _write_torch(path: Path, policy: nn.Module, spec: Spec, actions: ActionEncoding) -> None:
    from . import programs

    programs.write_torch(path, policy, spec, actions)


def _write_onnx(path: Path, policy: nn.Module, spec: Spec, actions: ActionEncoding) -> None:
    from . import programs

    programs.write_onnx(path, policy, spec, actions)


FORMATS = {
    "rllib": Format("", _write_rl_module, RL_MODULE, ("ray",)),
    "torch": Format("policy.pt2", _write_torch, TORCH, ()),
    "onnx": Format("policy.onnx", _write_onnx, ONNX, ("onnx", "onnxruntime")),
}
