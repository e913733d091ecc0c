"""Numbers of a learner: NumPy arrays if compiled kernels compute the networks, else torch tensors.

A learner is written once for both. Arithmetic, indexing, `.sum(-1)`, `.mean(-1)` and `.argmax(-1)`
are the same. Other operations come from `namespace`, by names and arguments that numpy and torch
share: where, amax, amin, tanh, concatenate. On the small arrays of a local step, a NumPy operation
takes a third of the time of a torch operation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .lazy_torch import torch
from .types import Array

Numbers = Any
"""A NumPy array or a tensor."""


def namespace(numbers: Numbers) -> Any:
    """Return the module that the array belongs to: numpy or torch."""
    return np if isinstance(numbers, np.ndarray) else torch


def to_numpy(numbers: Numbers) -> Array:
    """Return the values as a NumPy array on the CPU."""
    return numbers if isinstance(numbers, np.ndarray) else numbers.cpu().numpy()


class Home:
    """The home of a learner's numbers. device: of the torch tensors; None for NumPy arrays.

    Numbers have the type of the networks' parameters, which is torch's default, unless a method
    names another.
    """

    def __init__(self, device: str | None) -> None:
        self._device = device

    def asarray(self, array: Array) -> Numbers:
        """Return an array as numbers of this home."""
        if self._device is None:
            return array.astype(_float_type(), copy=False)
        return torch.from_numpy(array).to(self._device, torch.get_default_dtype())

    def zeros(self, *shape: int) -> Numbers:
        """Return zeros whose memory is allocated now, not at the first write to it."""
        if self._device is None:
            return np.full(shape, 0, _float_type())
        return torch.zeros(shape, device=self._device)

    def sums(self, size: int) -> Numbers:
        """Return zeros to add to: [size] float64."""
        if self._device is None:
            return np.zeros(size)
        return torch.zeros(size, dtype=torch.float64, device=self._device)

    def rows(self, table_RW: Numbers, index: Array) -> Numbers:
        """Return rows of a table of this home, [..., W], by their numbers, [...] int64."""
        if self._device is None:
            return table_RW.take(index, axis=0)
        chosen = torch.from_numpy(index.reshape(-1)).to(self._device)
        return table_RW.index_select(0, chosen).view(*index.shape, -1)

    def put(self, table_RW: Numbers, index_N: Array, rows_NW: Array) -> None:
        """Overwrite some rows of a table of this home."""
        if self._device is None:
            table_RW[index_N] = rows_NW
        else:
            chosen = torch.from_numpy(index_N).to(self._device)
            table_RW.index_copy_(0, chosen, self.asarray(rows_NW))


def _float_type() -> type[np.floating[Any]]:
    return np.float64 if torch.get_default_dtype() == torch.float64 else np.float32
