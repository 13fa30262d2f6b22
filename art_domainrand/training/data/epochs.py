"""The one source of batches behind the trainer, ``fit_randomized`` and the generator: epochs of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.data import BatchSampler

from art_domainrand.core.pixels import ClipRange
from art_domainrand.core.random import ORDER, READ, key_of, permutations, seed_of
from art_domainrand.training.data.sources import BatchLabels, Positions, Source

Choose = Callable[[int], Tensor]
"""The size of a batch -> the rows (b,) of it that this process has."""


@dataclass(frozen=True)
class SampleKeys:
    """What the samples of a batch are known by, so that each has random numbers of its own.

    :param ids: (B,) int64, the positions of the samples in the data, or a running count where there are none.
    :param times: (B,) int64, how often each came before in its epoch, as a sampler may have it.
    """

    ids: Tensor
    times: Tensor

    @classmethod
    def counted(cls, first: int, images: int) -> SampleKeys:
        """Of samples without positions: the running count from ``first`` on."""
        return cls(torch.arange(first, first + images), torch.zeros(images, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Samples:
    """What a process has of a batch.

    :param keys: those of the whole batch, in its order.
    :param rows: (b,) which of them this process has.
    :param x: their images (b, ...), on the host as a rule.
    :param y: their labels.
    """

    keys: SampleKeys
    rows: Tensor
    x: Tensor
    y: BatchLabels


@dataclass(frozen=True)
class Epochs:
    """The epochs of a source: batches of ``size`` samples, each sample once, in an order that the epoch's seed decides.

    :param size: samples of a batch.
    :param drop_last: leave out an epoch's last batch if it is not full.
    :param limits: the range that pixels must keep, None for any; checked on the host, where no one waits for a device.
    :param encode: changes the labels of a batch, on the host, before anything else sees them; None leaves them.
    :param check: is shown the images of each batch first, and raises for what they must not be.
    :param joined: make the last batch one with the one before.
    """

    source: Source
    size: int
    drop_last: bool = False
    limits: ClipRange | None = None
    encode: Callable[[BatchLabels], BatchLabels] | None = None
    check: Callable[[Tensor], None] | None = None
    joined: bool = False

    def __len__(self) -> int:
        """How many batches an epoch has."""
        samples = len(self.source)
        return samples // self.size if self.drops_last or self.joined else -(-samples // self.size)

    @property
    def drops_last(self) -> bool:
        """Whether a last batch that is not full is left out, as it is too where the source is a loader that does so."""
        return self.drop_last or self.source.drop_last

    @property
    def last(self) -> int:
        """The samples of an epoch's last batch, as it is before it is joined to the one before."""
        left = len(self.source) % self.size
        return left if left and not self.drops_last else self.size

    def read(
        self, number: int, seed: int, order: Iterable[int] | None = None, choose: Choose = torch.arange
    ) -> Iterator[Samples]:
        """Yield the batches of an epoch.

        :param number: of the epoch, which samplers are told.
        :param seed: of its order, and of what the workers of a dataset draw.
        :param order: of the samples; None is the source's own, or one by ``seed``.
        :param choose: the rows of a batch that this process has; only these are read.
        """
        plan = _Plan(self._batches(number, seed, order), choose, repeats=self.source.own_order is not None)
        for x, y in self.source.read(plan, seed_of(seed, READ)):
            keys, rows = plan.handed_out.pop(0)
            yield self._checked(Samples(keys, rows, x, y))

    def first(self, count: int, order: list[int] | None = None) -> Samples:
        """The first ``count`` samples of the data, or of an ``order`` of them, or all if they are fewer."""
        rows = list(range(min(count, len(self.source)))) if order is None else order[:count]
        x, y = next(iter(self.source.read([rows], 0)))
        return self._checked(Samples(SampleKeys.counted(0, len(rows)), torch.arange(len(rows)), x, y))

    def _checked(self, samples: Samples) -> Samples:
        if self.check is not None:
            self.check(samples.x)
        if self.limits is not None:
            self.limits.check(samples.x)
        y = samples.y if self.encode is None else self.encode(samples.y)
        return Samples(samples.keys, samples.rows, samples.x, y)

    def _batches(self, number: int, seed: int, order: Iterable[int] | None) -> Positions:
        order = self.order(number, seed) if order is None else order
        batches: Positions = BatchSampler(order, self.size, self.drops_last)  # type: ignore[arg-type]
        return Joined(batches) if self.joined else batches

    def order(self, number: int, seed: int) -> Iterable[int]:
        """The positions of an epoch's samples, one after the other."""
        own = self.source.own_order
        if own is not None:
            if hasattr(own, "set_epoch"):
                own.set_epoch(number)
            return own  # type: ignore[no-any-return]
        if not self.source.shuffle:
            return range(len(self.source))
        shuffled: list[int] = permutations(torch.tensor([key_of(seed, ORDER)]), len(self.source))[0].tolist()
        return shuffled


@dataclass
class _Plan:
    """The positions that a process reads, batch by batch; keeps which samples the batches are made of.

    A DataLoader with workers asks ahead, and yields in the order in which it asked. ``repeats`` says that a sample may
    come more than once in an epoch.
    """

    batches: Positions
    choose: Choose
    repeats: bool
    handed_out: list[tuple[SampleKeys, Tensor]] = field(default_factory=list)

    def __iter__(self) -> Iterator[list[int]]:
        before: Counter[int] = Counter()
        for batch in self.batches:
            times = torch.zeros(len(batch), dtype=torch.int64)
            for place, position in enumerate(batch) if self.repeats else ():
                times[place] = before[position]
                before[position] += 1
            rows = self.choose(len(batch))
            self.handed_out.append((SampleKeys(torch.tensor(batch), times), rows))
            yield [batch[row] for row in rows.tolist()]


class Joined:
    """Batches of positions, the last of which goes with the one before."""

    def __init__(self, batches: Iterable[list[int]]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        waiting: list[list[int]] = []
        for batch in self.batches:
            waiting.append(batch)
            if len(waiting) > 2:
                yield waiting.pop(0)
        yield [position for batch in waiting for position in batch]
