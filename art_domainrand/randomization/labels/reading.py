"""Where each pixel of a moved image was before, and reading it there: in float64, in one sampling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from art_domainrand.core.arrays import widened
from art_domainrand.randomization.labels.settling import cut_sources, pad_sources
from art_domainrand.randomization.numerics.positions import Carrying, Coords, Frame, Sampling, pixel_lattice
from art_domainrand.randomization.numerics.warp import resample

Sources: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Where pixels are read, x and y from the image centre, and which have no source: each (B, H, W)."""


def in_double(values: Mapping[str, Any]) -> dict[str, Any]:
    """``values``, however deep, those that are floating in float64."""
    return {
        name: in_double(value) if isinstance(value, Mapping) else value.double() if value.is_floating_point() else value
        for name, value in values.items()
    }


def sources_of(
    carry: Callable[[Coords, Frame, Carrying], Coords],
    like: Tensor,
    size: Sequence[int],
    mode: str,
    *,
    cut: bool = False,
    inverted: bool = False,
) -> Sources:
    """Where each pixel of an image was before ``carry`` moved its points; ``inverted``, where it comes to lie.

    ``like`` (B, ...) says how many images there are, and on which device; ``size`` ends in height and width. With
    ``cut`` nothing is read from beyond an image, else what the transforms' padding says.
    """
    frame = Frame(1, *size[-2:])
    settle = partial(cut_sources if cut else pad_sources, soft=mode != "nearest")
    way = Carrying(not inverted, None if inverted else settle)
    points = carry(pixel_lattice(frame.height, frame.width, torch.float64, like.device), frame, way)
    lost = torch.zeros((), dtype=torch.bool, device=points.x.device) if points.lost is None else points.lost
    shape = (len(like), frame.height, frame.width)
    return points.x.expand(shape), points.y.expand(shape), lost.expand(shape)


def read_at(image: Tensor, sources: Sources, sampling: Sampling, fill: float = 0) -> Tensor:
    """``image`` (B, C, H, W) at ``sources``, ``fill`` where there is none."""
    x, y, lost = (part.to(image.device) for part in sources)
    if sampling.mode != "nearest":
        # Beyond the image a sampling reads zero: of the difference from what is to be there.
        read = resample(widened(image) - fill, Coords(x, y), sampling) + fill
        return read.masked_fill(lost[:, None], fill).to(image.dtype)
    height, width = image.shape[2:]
    column, row = torch.floor(x + width / 2).long(), torch.floor(y + height / 2).long()
    lost = lost | (column < 0) | (column >= width) | (row < 0) | (row >= height)
    index = torch.where(lost, 0, row * width + column).flatten(1)[:, None].expand(-1, image.shape[1], -1)
    return image.flatten(2).gather(2, index).view(image.shape).masked_fill(lost[:, None], fill)
