"""One training run on several processes (``torchrun``), or on one; the names are those of ``torch.distributed``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Shard:
    """What one process has of a batch: the ``rows``, of which the first ``images`` count.

    A process for which there is no image runs one that does not count, since all must take part in every average.
    ``share`` weighs its mean loss, so that the average over processes is the mean over the batch.
    """

    rows: Tensor
    images: int
    share: float

    @classmethod
    def of(cls, batch: int, rank: int, world_size: int) -> Shard:
        """The shard of the process ``rank`` of a batch of so many images: every ``world_size``-th row."""
        rows = torch.arange(batch)[rank::world_size]
        return cls(rows if len(rows) else torch.zeros(1, dtype=torch.int64), len(rows), len(rows) * world_size / batch)

    @classmethod
    def own(cls, batch: int) -> Shard:
        """The shard of this process."""
        return cls.of(batch, *rank_and_world_size())


def totals(loss: Tensor, hits: Tensor, shard: Shard) -> Tensor:
    """Loss, hits and images of a shard, to be summed up (3,)."""
    images = torch.full_like(loss, shard.images)
    return torch.stack((loss.detach() * images, hits[: shard.images].sum(), images))


def rank_and_world_size() -> tuple[int, int]:
    """This process's rank and the number of processes; (0, 1) without ``torch.distributed``."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def data_parallel(model: nn.Module) -> nn.Module:
    """The model whose gradients are averaged over all processes; the model itself if there is one process."""
    if rank_and_world_size()[1] == 1:
        return model
    device = next(model.parameters()).device
    return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)


def all_reduce(values: Tensor) -> Tensor:
    """The sum of ``values`` over all processes."""
    if rank_and_world_size()[1] == 1:
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total


def all_gather(values: Tensor, sizes: list[int]) -> Tensor:
    """The rows that every process holds, (n_rank,), put together in order of rank; ``sizes`` are their numbers."""
    if rank_and_world_size()[1] == 1:
        return values
    width = max(sizes)
    own = torch.zeros(width, dtype=values.dtype, device=values.device)
    own[: len(values)] = values
    parts = [torch.empty_like(own) for _ in sizes]
    distributed.all_gather(parts, own)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def barrier() -> None:
    """Wait until all processes are here."""
    if rank_and_world_size()[1] > 1:
        distributed.barrier()


def broadcast_object(value: Any) -> Any:
    """The first process's ``value``, an object that can be pickled."""
    if rank_and_world_size()[1] == 1:
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def all_gather_object(value: Any) -> list[Any]:
    """The ``value`` of every process, in order of rank, objects that can be pickled."""
    world_size = rank_and_world_size()[1]
    if world_size == 1:
        return [value]
    box = [None] * world_size
    distributed.all_gather_object(box, value)
    return box


@torch.no_grad()
def broadcast_model(model: nn.Module) -> None:
    """Give every process the first one's weights and buffers; batch statistics are each process's own in training."""
    if rank_and_world_size()[1] > 1:
        for value in model.state_dict().values():
            whole = value.contiguous()
            distributed.broadcast(whole, src=0)
            value.copy_(whole)
