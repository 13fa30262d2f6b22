"""Pipeline, Sometimes and OneOf: how transforms are put together and drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from art_domainrand.core.arrays import check_images, widened
from art_domainrand.randomization.core.chain import Chain, common_sampling, fuses, nested_values, prefixed, settled
from art_domainrand.randomization.core.choosing import apply_chosen, same_shape
from art_domainrand.randomization.core.distributions import Distribution, Uniform, check_weights, select
from art_domainrand.randomization.core.positions import Points, Way, where
from art_domainrand.randomization.core.sampling import unit_points
from art_domainrand.randomization.core.transform import Draw, Frame, Kind, Transform, Values
from art_domainrand.randomization.kornia_module import KorniaAugmentation
from art_domainrand.randomization.labels.geometry import Geometry
from art_domainrand.randomization.numerics.linear import identity_like, is_channels_last
from art_domainrand.randomization.numerics.warp import Sampling

Item: TypeAlias = "Transform | Pipeline | nn.Module | Sequence[Any]"
"""What a pipeline is made of: a transform, a ``kornia.augmentation`` module, another pipeline or a list of these."""


class Pipeline:
    """A random change of a batch of images: ``x' = pipeline.apply(x, draw)``, a pure function.

    ``items`` are transforms, ``kornia.augmentation`` modules and other pipelines, applied in order, or a single one of
    them. Neighbouring geometric transforms become one resampling, neighbouring colour matrices one product.

    Raises ValueError if there is no transform, TypeError for an item that is none.
    """

    def __init__(self, items: Item) -> None:
        if isinstance(items, str):
            raise TypeError(
                f"a pipeline takes transforms, not their names, got {items!r}; preset(name) makes one by name"
            )
        parts = [items] if isinstance(items, (Transform, Pipeline, nn.Module)) else items
        self.chain = Chain(tuple(_flatten(parts)))

    def __repr__(self) -> str:
        return f"Pipeline({list(self.chain.transforms)!r})"

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
        """Draw for ``n`` images, on ``device`` or where the ``generator`` lives.

        ``method`` says how the points ``u`` lie to one another: "uniform", "antithetic", "sobol" or "stratified", see
        :func:`art_domainrand.randomization.core.sampling.unit_points`; seeds of pixel fields are always independent.
        Without a generator a new one is seeded from the operating system; no global generator is touched.
        """
        if generator is None:
            generator = torch.Generator(device or "cpu")
            generator.seed()
        elif not isinstance(generator, torch.Generator):
            raise TypeError(f"generator must be None or a torch.Generator, got {generator!r}")
        u = unit_points(n, len(self.parameters), generator, method)
        seeds = torch.randint(2**63 - 1, (n,), generator=generator, device=generator.device)
        draw = Draw(u, seeds)
        return draw if device is None or u.device == device else draw.to(device)

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        """Transform ``x`` (B, C, H, W), floating, in [0, 1], with the draw of B images, on the device of ``x``.

        A video (B, T, C, H, W) takes one draw a clip: every frame of a clip is changed in the same way, by the same
        geometry, the same colour matrix and the same field of noise, as dirt on the lens or a fixed sensor pattern
        would be. For noise that is new in every frame, apply a second pipeline to ``x.flatten(0, 1)``.

        Raises ValueError for images whose number of channels one of the transforms does not take, whether the draw
        chooses it or not; :meth:`takes` tells.

        The result is not clipped. Dtype and memory format are kept; float16 and bfloat16 are computed in float32.
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
        """How ``draw`` moves boxes, masks, keypoints and detections of images of ``size`` (height, width).

        ``pipeline.geometry(draw, x.shape).boxes(boxes)`` are the boxes for ``pipeline.apply(x, draw)``.
        """
        return Geometry(self.chain, draw, size)

    def inverse(self, draw: Draw, size: Sequence[int] | None = None) -> Geometry:
        """The way back from the randomized images: ``inverse(draw).apply(x)`` for images, and so on for labels."""
        return Geometry(self.chain, draw, size, inverted=True)

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw and apply: a fresh random version of ``x``."""
        check_images(x)
        self.chain.check_channels(x.shape[-3])
        return self.apply(x, self.sample(len(x), generator, x.device))

    def takes(self, channels: int) -> bool:
        """Whether images of so many ``channels`` can be given: the same answer whatever is drawn.

        "Needs RGB" holds for a pipeline of which one transform needs it, also where that is one of many to choose from.
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


@dataclass(frozen=True)
class Sometimes(Transform):
    """Apply ``transform`` (or a pipeline, a list, a Kornia module) to each image with probability ``p``.

    On the CPU it is computed for those images alone; elsewhere, where the host would have to wait for the choice, for
    all of them, and the results are selected. The bits are the same.
    """

    transform: Transform
    p: float = 0.5

    def __init__(self, transform: Item, p: float = 0.5) -> None:
        if isinstance(p, bool) or not isinstance(p, Real) or not 0 <= p <= 1:
            raise ValueError(f"p must be in [0, 1], got {p!r}")
        object.__setattr__(self, "transform", as_transform(transform))
        object.__setattr__(self, "p", float(p))

    @property
    def kind(self) -> Kind:
        return self.transform.kind

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        """The gate, then the transform's own under the index 0."""
        return {"gate": Uniform(0.0, 1.0), **prefixed((self.transform,))}

    @property
    def seeded(self) -> bool:  # type: ignore[override]
        """Whether the transform is."""
        return self.transform.seeded

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Whether the transform is."""
        return self.transform.differentiable

    @property
    def sampling(self) -> Sampling | None:
        return self.transform.sampling

    @property
    def projective(self) -> bool:
        return self.transform.projective

    @property
    def has_matrix(self) -> bool:
        return self.transform.has_matrix

    def check_channels(self, channels: int) -> None:
        self.transform.check_channels(channels)

    def arrange(self, columns: Sequence[Tensor], seeds: Tensor) -> Values:
        return {"gate": columns[0] < self.p, **nested_values((self.transform,), columns[1:], seeds)}

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        matrix = self.transform.matrix(values["0"], frame)
        return torch.where(values["gate"][:, None, None], matrix, identity_like(matrix))

    def carry(self, points: Points, values: Values, frame: Frame, way: Way) -> Points:
        return where(values["gate"], self.transform.carry(points, values["0"], frame, way), points)

    def reorder(self, order: Tensor, values: Values, way: Way) -> Tensor:
        return torch.where(values["gate"][:, None], self.transform.reorder(order, values["0"], way), order)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        if x.device.type == "cpu":
            return apply_chosen(x, values["gate"].long(), (None, self.transform), ({}, values["0"]))
        changed = same_shape(x, self.transform.apply(x, values["0"]))
        return torch.where(values["gate"][:, None, None, None], changed, x)


@dataclass(frozen=True)
class OneOf(Transform):
    """Apply one of ``transforms`` to each image, chosen with probabilities proportional to ``weights``.

    If all of them are geometric and sample alike, or all are colour matrices, they fuse with their neighbours, as the
    choice is then made between matrices. Otherwise each is computed on the CPU for the images that chose it; elsewhere,
    where the host would have to wait for the choice, for all images, and the results are selected. The bits are the
    same.
    """

    transforms: tuple[Transform, ...]
    weights: tuple[float, ...] | None = None

    def __init__(self, transforms: Iterable[Item], weights: Sequence[float] | None = None) -> None:
        members = tuple(as_transform(item) for item in transforms)
        if not members:
            raise ValueError("transforms must not be empty, got none")
        object.__setattr__(self, "transforms", members)
        object.__setattr__(self, "weights", None if weights is None else tuple(check_weights(weights, len(members))))

    @cached_property
    def kind(self) -> Kind:  # type: ignore[override]
        """The members' common kind if they fuse, else PIXEL."""
        one = all(fuses(a, b) for a in self.transforms for b in self.transforms)
        return self.transforms[0].kind if one else Kind.PIXEL

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        """The selector, then the members' own under their indices."""
        return {"selector": Uniform(0.0, 1.0), **prefixed(self.transforms)}

    @cached_property
    def seeded(self) -> bool:  # type: ignore[override]
        """Whether any member is."""
        return any(transform.seeded for transform in self.transforms)

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Whether all members are."""
        return all(transform.differentiable for transform in self.transforms)

    @property
    def sampling(self) -> Sampling | None:
        return common_sampling(self.transforms)

    @property
    def projective(self) -> bool:
        return any(transform.projective for transform in self.transforms)

    @property
    def has_matrix(self) -> bool:
        return self.kind is Kind.GEOMETRY and all(transform.has_matrix for transform in self.transforms)

    def check_channels(self, channels: int) -> None:
        for transform in self.transforms:
            transform.check_channels(channels)

    def arrange(self, columns: Sequence[Tensor], seeds: Tensor) -> Values:
        return {"selector": columns[0], **nested_values(self.transforms, columns[1:], seeds)}

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        matrices = [t.matrix(values[str(k)], frame) for k, t in enumerate(self.transforms)]
        width = max(matrix.shape[2] for matrix in matrices)  # a contrast's has columns for the means
        matrices = [functional.pad(matrix, (0, width - matrix.shape[2])) for matrix in matrices]
        return select(values["selector"], self.weights, matrices)

    def carry(self, points: Points, values: Values, frame: Frame, way: Way) -> Points:
        places = []
        for k, t in enumerate(self.transforms):
            place = t.carry(points, values[str(k)], frame, way)
            places.append(place if self.kind is Kind.GEOMETRY else settled(t, place, frame, way))
        kept = torch.zeros((1, 1, 1), dtype=torch.bool, device=points.x.device)
        x, y, lost = (
            select(values["selector"], self.weights, options)
            for options in zip(*((p.x, p.y, kept if p.lost is None else p.lost) for p in places), strict=True)
        )
        return Points(x, y, None if all(place.lost is None for place in places) else lost)

    def reorder(self, order: Tensor, values: Values, way: Way) -> Tensor:
        orders = [t.reorder(order, values[str(k)], way) for k, t in enumerate(self.transforms)]
        return select(values["selector"], self.weights, orders)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        if x.device.type == "cpu":
            members = [torch.full_like(values["selector"], k, dtype=torch.int64) for k in range(len(self.transforms))]
            choice = select(values["selector"], self.weights, members)
            return apply_chosen(x, choice, self.transforms, [values[str(k)] for k in range(len(members))])
        images = [same_shape(x, t.apply(x, values[str(k)])) for k, t in enumerate(self.transforms)]
        return select(values["selector"], self.weights, images)


def as_transform(item: Item) -> Transform:
    """Read a transform, a Kornia module, a pipeline or a list of these as one transform; else TypeError."""
    if isinstance(item, Pipeline):
        return item.chain
    if isinstance(item, (list, tuple)):
        return Pipeline(item).chain
    if isinstance(item, nn.Module):
        return KorniaAugmentation(item)
    if isinstance(item, Transform):
        return item
    raise TypeError(f"a pipeline takes transforms, kornia.augmentation modules and pipelines, got {item!r}")


def _flatten(items: Iterable[Item]) -> Iterable[Transform]:
    if not isinstance(items, Iterable):
        raise TypeError(f"a pipeline must be made of a transform or a list of transforms, got {items!r}")
    for item in items:
        transform = as_transform(item)
        yield from transform.transforms if isinstance(transform, Chain) else (transform,)
