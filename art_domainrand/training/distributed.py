"""One training run on several processes (``torchrun``), or on one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


def world() -> tuple[int, int]:
    """This process's rank and the number of processes; (0, 1) without ``torch.distributed``."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def shared(model: nn.Module) -> nn.Module:
    """The model whose gradients are averaged over all processes; the model itself if there is one process."""
    if world()[1] == 1:
        return model
    device = next(model.parameters()).device
    return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)


def summed(values: Tensor) -> Tensor:
    """The sum of ``values`` over all processes."""
    if world()[1] == 1:
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total


def gathered(values: Tensor, sizes: list[int]) -> Tensor:
    """The rows that every process holds, (n_rank,), put together in order of rank; ``sizes`` are their numbers."""
    if world()[1] == 1:
        return values
    width = max(sizes)
    own = torch.zeros(width, dtype=values.dtype, device=values.device)
    own[: len(values)] = values
    parts = [torch.empty_like(own) for _ in sizes]
    distributed.all_gather(parts, own)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def wait() -> None:
    """Wait until all processes are here."""
    if world()[1] > 1:
        distributed.barrier()


def same_everywhere(value: Any) -> Any:
    """The first process's ``value``, an object that can be pickled."""
    if world()[1] == 1:
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]
