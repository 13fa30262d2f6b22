"""Colour for some of the channels: paired modalities such as RGB and depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from art_domainrand.core.arrays import as_python
from art_domainrand.randomization.core.chain import prefixed
from art_domainrand.randomization.core.distributions import Distribution
from art_domainrand.randomization.core.pipeline import Item, as_transform
from art_domainrand.randomization.core.transform import Kind, Transform, Values, leaves_of, moves_pixels
from art_domainrand.randomization.numerics.color_maps import apply_color
from art_domainrand.randomization.numerics.matrices import Rows, constant, multiply
from art_domainrand.randomization.numerics.positions import Frame, frame_of


@dataclass(frozen=True)
class OnChannels(Transform):
    """Apply a transform to some of the channels, and leave the others.

    ``OnChannels(Saturation(), (0, 1, 2))`` changes the colour of RGB + depth images and keeps their depth. Colour
    matrices still fuse with their neighbours.

    :param transform: a transform, a pipeline, a list of such, or a Kornia module.
    :param channels: the channels it sees as an image, in this order.
    :raises ValueError: for channels that are not different ints >= 0, and for a transform that moves pixels, after
        which the channels would no longer lie on one another: put it beside this one, where it moves all channels
        alike.
    """

    transform: Transform
    channels: tuple[int, ...]

    def __init__(self, transform: Item, channels: Iterable[int]) -> None:
        object.__setattr__(self, "transform", as_transform(transform))
        object.__setattr__(self, "channels", check_channels(channels))
        moving = _moving(self.transform)
        if moving is not None:
            raise ValueError(
                f"transform must not move pixels, got {' '.join(repr(moving).split())}; put it into the pipeline "
                "beside OnChannels, so that all channels move alike"
            )

    @property
    def kind(self) -> Kind:
        return self.transform.kind

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        """The transform's own under the index 0."""
        return prefixed((self.transform,))

    @property
    def seeded(self) -> bool:  # type: ignore[override]
        """Whether the transform is."""
        return self.transform.seeded

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Whether the transform is."""
        return self.transform.differentiable

    def check_channels(self, channels: int) -> None:
        if max(self.channels) >= channels:
            raise ValueError(f"channels must be below {channels}, the number of channels of x, got {self.channels}")
        self.transform.check_channels(len(self.channels))

    def arrange(self, columns: Sequence[Tensor], seeds: Tensor) -> Values:
        # The seeds go on as they are: on all channels this is the transform itself, noise included.
        return {"0": self.transform.arrange(columns, seeds)}

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        self.check_channels(frame.channels)
        inner = self.transform.matrix(values["0"], Frame(len(self.channels), frame.height, frame.width))
        count, width = inner.shape[1:]
        blocks = (width - 1) // count  # one, or two with gains of the means
        columns = [*self.channels, frame.channels]
        if blocks == 2:
            columns += [frame.channels + 1 + channel for channel in self.channels]
        others: Rows = tuple(
            tuple(float(row == column and row not in self.channels) for column in range(blocks * frame.channels + 1))
            for row in range(frame.channels)
        )
        rows = _places(self.channels, frame.channels, inner).transpose(0, 1)
        targets = _places(tuple(columns), blocks * frame.channels + 1, inner)
        size = len(inner)
        placed = multiply(multiply(rows.expand(size, -1, -1), inner), targets.expand(size, -1, -1))
        return constant(others, inner.dtype, inner.device) + placed

    def apply(self, x: Tensor, values: Values) -> Tensor:
        if self.kind is Kind.COLOR:
            return apply_color(x, self.matrix(values, frame_of(x)))
        self.check_channels(x.shape[1])
        index = constant((tuple(map(float, self.channels)),), torch.float64, x.device)[0].long()
        part = x.index_select(1, index)
        changed = self.transform.apply(part, values["0"])
        if changed.shape != part.shape:
            raise ValueError(
                f"a transform of some of the channels must keep their shape {tuple(part.shape[1:])}, "
                f"got {tuple(changed.shape[1:])}"
            )
        return x.index_copy(1, index, changed)


def check_channels(channels: Iterable[int]) -> tuple[int, ...]:
    """Read distinct channel indices >= 0, at least one; else ValueError."""
    found = tuple(as_python(channel) for channel in channels)
    if not all(isinstance(channel, int) and not isinstance(channel, bool) and channel >= 0 for channel in found):
        raise ValueError(f"channels must be ints >= 0, got {found}")
    if not found or len(set(found)) < len(found):
        raise ValueError(f"channels must be distinct and at least one, got {found}")
    return found


def _places(columns: tuple[int, ...], size: int, like: Tensor) -> Tensor:
    """Rows of a unit matrix, (len(columns), size)."""
    rows: Rows = tuple(tuple(float(column == place) for place in range(size)) for column in columns)
    return constant(rows, like.dtype, like.device)


def _moving(transform: Transform) -> Transform | None:
    """The first transform in ``transform``, however deep, that moves points of the image, known where to or not."""
    for leaf in leaves_of(transform):
        if moves_pixels(leaf):
            return leaf
    return None
