"""An estimator's PyTorch parts on another device for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from art_domainrand.estimators.state import inner_estimators


@contextmanager
def on_device(estimator: Any, device: torch.device | str | None) -> Iterator[None]:
    """The estimator, its loss and its preprocessors work on ``device`` inside, and where they were afterwards.

    :param estimator: an ART estimator; one without PyTorch parts is left alone.
    :param device: where to; None leaves everything where it is.
    """
    if device is None:
        yield
        return
    target = torch.device(device)
    moved = [(part, part._device) for part in movable_parts(estimator)]
    try:
        for part, _ in moved:
            move(part, target)
        yield
    finally:
        for part, home in moved:
            move(part, home)


def movable_parts(estimator: Any) -> list[Any]:
    """What has a device of its own: an estimator, those that it is made of, and their preprocessors."""
    parts = []
    for one in inner_estimators(estimator):
        operations = list(getattr(one, "preprocessing_operations", None) or [])
        parts += [part for part in (one, *operations) if isinstance(getattr(part, "_device", None), torch.device)]
    return parts


def move(part: Any, device: torch.device) -> None:
    """Let one part work on a device."""
    part._device = device
    for name in ("_model", "_loss"):
        module = getattr(part, name, None)
        if isinstance(module, nn.Module):
            module.to(device)


def device_of(estimator: Any) -> str:
    """Where an estimator works: that of its own ``device``, "cpu" for one that has none."""
    device = getattr(estimator, "_device", None)
    return str(device) if isinstance(device, torch.device) else "cpu"
