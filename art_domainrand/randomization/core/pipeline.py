"""Pipeline: transforms put together, drawn and applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from art_domainrand.core.arrays import check_images, widened
from art_domainrand.randomization.core.chain import Chain
from art_domainrand.randomization.core.distributions import Distribution
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.kornia_module import KorniaAugmentation
from art_domainrand.randomization.core.sampling import sample_points
from art_domainrand.randomization.core.transform import Transform
from art_domainrand.randomization.labels.geometry import Geometry
from art_domainrand.randomization.numerics.matrices import is_channels_last


class Pipeline:
    """A random change of a batch of images: ``x' = pipeline.apply(x, draw)``, a pure function.

    Neighbouring geometric transforms become one resampling, neighbouring colour matrices one product.

    :param items: transforms, ``kornia.augmentation`` modules and other pipelines, applied in order, or a single one of
        them.
    :raises ValueError: if there is no transform.
    :raises TypeError: for an item that is none, such as a name.
    """

    def __init__(self, items: Item) -> None:
        if isinstance(items, str):
            raise TypeError(
                f"a pipeline takes transforms, not their names, got {items!r}; preset(name) makes one by name"
            )
        parts = [items] if isinstance(items, (Transform, Pipeline, nn.Module)) else items
        self.chain = Chain(tuple(_flat(parts)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.chain.transforms)!r})"

    def __len__(self) -> int:
        return len(self.chain.transforms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self.chain == other.chain

    def __hash__(self) -> int:
        return hash(self.chain)

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """The transforms in order; nested pipelines are laid flat."""
        return self.chain.transforms

    @property
    def parameters(self) -> Mapping[str, Distribution]:
        """The coordinates of the unit cube in the order of ``draw.u``, such as ``{"0.angle": Uniform(-15, 15)}``."""
        return self.chain.parameters

    @property
    def requires_grad(self) -> bool:
        """Whether the bounds of any distribution are being learned."""
        bounds = (bound for distribution in self.parameters.values() for bound in vars(distribution).values())
        return any(isinstance(bound, Tensor) and bound.requires_grad for bound in bounds)

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        *,
        method: str = "uniform",
    ) -> Draw:
        """Draw a point of the unit cube and a seed for each image.

        :param n: the number of images, >= 0.
        :param generator: where the draw comes from, by default the operating system; no global generator is touched.
        :param device: where the draw is to lie; by default where the ``generator`` lives.
        :param method: how the points ``u`` lie to one another: "uniform", "antithetic", "sobol" or "stratified", see
            :mod:`art_domainrand.randomization.core.sampling`; seeds of pixel fields are always independent.
        :raises TypeError: for a generator that is none.
        :raises ValueError: for a negative ``n`` and an unknown method.
        """
        return sample_points(n, len(self.parameters), generator, device, method)

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        """Change each image as the draw says; the result is not clipped.

        Dtype and memory format are kept; float16 and bfloat16 are computed in float32. Every frame of a video is
        changed in the same way, by the same geometry, the same colour matrix and the same field of noise, as dirt on
        the lens or a fixed sensor pattern would be. For noise that is new in every frame, apply a second pipeline to
        ``x.flatten(0, 1)``.

        :param x: images (B, C, H, W), or videos (B, T, C, H, W) with one draw a clip; floating, in [0, 1].
        :param draw: a draw for B images, on the device of ``x``.
        :raises ValueError: for a draw that does not fit, and for images whose number of channels one of the transforms
            does not take, whether the draw chooses it or not; :meth:`takes` tells.
        """
        self._check(x, draw)
        if x.numel() == 0:
            return x
        if x.dim() == 5:
            frames = x.shape[1]
            clips = torch.arange(len(x), device=x.device).repeat_interleave(frames)
            changed = self.apply(x.flatten(0, 1), draw[clips])
            return changed.view(len(x), frames, *changed.shape[1:])
        wide = widened(x)
        # Entering the context takes as long as a small operation; where it would change nothing it is left out.
        with (
            torch.autocast(x.device.type, enabled=False) if torch.is_autocast_enabled(x.device.type) else nullcontext()
        ):
            changed = self.chain.apply(wide, self.chain.values(draw.u.to(wide.dtype), draw.seeds)).to(x.dtype)
        return changed.contiguous(memory_format=torch.channels_last) if is_channels_last(x) else changed

    def geometry(self, draw: Draw, size: Sequence[int] | None = None) -> Geometry:
        """How a draw moves boxes, masks, keypoints and detections.

        ``pipeline.geometry(draw, x.shape).boxes(boxes)`` are the boxes for ``pipeline.apply(x, draw)``.

        :param draw: the draw with which the images were changed.
        :param size: the size of the images in pixels: (height, width), or any shape that ends in them. Masks and images
            bring their own.
        :raises ValueError: for a transform that moves pixels and cannot say where, and a draw or a size that does not
            fit.
        """
        return Geometry(self.chain, draw, size)

    def inverse(self, draw: Draw, size: Sequence[int] | None = None) -> Geometry:
        """The way back from the randomized images: ``inverse(draw).apply(x)`` for images, and so on for labels.

        :param draw: the draw with which the images were changed.
        :param size: as in :meth:`geometry`.
        :raises ValueError: as :meth:`geometry` does.
        """
        return Geometry(self.chain, draw, size, inverted=True)

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw and apply: a fresh random version of ``x``."""
        check_images(x)
        self.chain.check_channels(x.shape[-3])
        return self.apply(x, self.sample(len(x), generator, x.device))

    def takes(self, channels: int) -> bool:
        """Whether images of so many channels can be given: the same answer whatever is drawn.

        "Needs RGB" holds for a pipeline of which one transform needs it, also where that is one of many to choose from.

        :param channels: the number of channels of the images.
        """
        try:
            self.chain.check_channels(channels)
        except ValueError:
            return False
        return True

    def _check(self, x: Tensor, draw: Draw) -> None:
        check_images(x)
        self.chain.check_channels(x.shape[-3])
        if len(draw) != len(x):
            raise ValueError(f"draw must be for {len(x)} images, as many as x has, got {len(draw)}")
        if draw.u.shape[1] != len(self.parameters):
            raise ValueError(f"draw must have {len(self.parameters)} coordinates per image, got {draw.u.shape[1]}")
        if draw.u.device != x.device:
            raise ValueError(f"draw must be on the device of x, {x.device}, got {draw.u.device}")


Item: TypeAlias = Transform | Pipeline | nn.Module | Sequence[Any]
"""What a pipeline is made of: a transform, a ``kornia.augmentation`` module, another pipeline or a list of these."""


def pipeline_from(argument: str, item: Item) -> Pipeline:
    """Read the value of an argument as a pipeline; TypeError or ValueError, naming the argument, for what is none."""
    if isinstance(item, Pipeline):
        return item
    try:
        return Pipeline(item)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{argument}: {error}") from None


def as_transform(item: Item) -> Transform:
    """Read a transform, a Kornia module, a pipeline or a list of these as one transform; else TypeError."""
    if isinstance(item, Transform):
        return item
    if isinstance(item, nn.Module):
        return KorniaAugmentation(item)
    if isinstance(item, (Pipeline, list, tuple)):
        return (item if isinstance(item, Pipeline) else Pipeline(item)).chain
    raise TypeError(f"a pipeline takes transforms, kornia.augmentation modules and pipelines, got {item!r}")


def _flat(items: Iterable[Item]) -> Iterator[Transform]:
    if not isinstance(items, Iterable):
        raise TypeError(f"a pipeline must be made of a transform or a list of transforms, got {items!r}")
    for item in items:
        transform = as_transform(item)
        yield from transform.transforms if isinstance(transform, Chain) else (transform,)
