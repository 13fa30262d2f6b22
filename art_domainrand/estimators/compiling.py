"""A model's forward pass under ``torch.compile``, compiled once."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Forward = Callable[[Tensor], Any]


class Compiler:
    """Compiles the forward pass of a model and keeps it, since compiling takes seconds; copies start anew.

    ``backend`` is the name of a ``torch.compile`` backend. Batch sizes are left open, as batches shrink.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._model: nn.Module | None = None
        self._compiled: Forward | None = None

    def __call__(self, model: nn.Module, forward: Forward) -> Forward:
        """The compiled ``forward`` of ``model``."""
        if self._compiled is None or self._model is not model:
            self._model, self._compiled = model, torch.compile(forward, dynamic=True, backend=self.backend)
        return self._compiled

    def __getstate__(self) -> dict[str, Any]:
        return {"backend": self.backend, "_model": None, "_compiled": None}
