"""Scalars for TensorBoard, where it is installed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

WRITERS = ("torch.utils.tensorboard", "tensorboardX")


class Scalars:
    """Writes one value per name and epoch into ``log_dir``; a context manager that closes the file."""

    def __init__(self, log_dir: str | Path) -> None:
        self.writer = summary_writer(log_dir)

    def __enter__(self) -> Scalars:
        return self

    def __exit__(self, *exception: object) -> None:
        self.writer.close()

    def write(self, epoch: int, row: dict[str, float]) -> None:
        """Write every entry of ``row``."""
        for name, value in row.items():
            self.writer.add_scalar(name, value, epoch)


def summary_writer(log_dir: str | Path) -> Any:
    """TensorBoard's own writer or tensorboardX's; ImportError if neither is installed."""
    for module in WRITERS:
        try:
            return import_module(module).SummaryWriter(str(log_dir))
        except ImportError:
            continue
    raise ImportError("log_dir needs tensorboard or tensorboardX: pip install tensorboardX")
