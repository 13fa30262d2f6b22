"""Sometimes and OneOf: a transform for some of the images, one of several for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real

import torch
from torch import Tensor
from torch.nn import functional

from art_domainrand.randomization.core.chain import common_sampling, fuses, nested_values, prefixed
from art_domainrand.randomization.core.choosing import ChoosingTransform, apply_chosen, name_of, same_shape
from art_domainrand.randomization.core.distributions import Distribution, Uniform
from art_domainrand.randomization.core.pipeline import Item, as_transform
from art_domainrand.randomization.core.transform import Kind, Transform, Values, settled
from art_domainrand.randomization.numerics.matrices import identity_like
from art_domainrand.randomization.numerics.positions import Carrying, Coords, Frame, Sampling, where
from art_domainrand.randomization.numerics.selection import check_weights, select


@dataclass(frozen=True)
class Sometimes(ChoosingTransform):
    """Apply a transform to each image with a given probability.

    On the CPU it is computed for those images alone; elsewhere, where the host would have to wait for the choice, for
    all of them, and the results are selected. The bits are the same.

    :param transform: a transform, a pipeline, a list of such, or a Kornia module; it must keep the images' shape.
    :param p: the probability, in [0, 1].
    :raises ValueError: for ``p`` outside [0, 1].
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

    def chosen(self, name: str, u: Tensor) -> str | None:
        return "applied" if bool(u < self.p) else "not applied"

    def member(self, u: Tensor) -> Tensor:
        return torch.where(u < self.p, 0, -1)

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        matrix = self.transform.matrix(values["0"], frame)
        return torch.where(values["gate"][:, None, None], matrix, identity_like(matrix))

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        return where(values["gate"], self.transform.carry(points, values["0"], frame, way), points)

    def reorder(self, order: Tensor, values: Values, way: Carrying) -> Tensor:
        return torch.where(values["gate"][:, None], self.transform.reorder(order, values["0"], way), order)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        if x.device.type == "cpu":
            return apply_chosen(x, values["gate"].long(), (None, self.transform), ({}, values["0"]))
        changed = same_shape(x, self.transform.apply(x, values["0"]))
        return torch.where(values["gate"][:, None, None, None], changed, x)


@dataclass(frozen=True)
class OneOf(ChoosingTransform):
    """Apply one of several transforms to each image.

    If all of them are geometric and sample alike, or all are colour matrices, they fuse with their neighbours, as the
    choice is then made between matrices. Otherwise each is computed on the CPU for the images that chose it; elsewhere,
    where the host would have to wait for the choice, for all images, and the results are selected. The bits are the
    same.

    :param transforms: at least one transform, pipeline, list of such or Kornia module; each must keep the images'
        shape.
    :param weights: one number >= 0 for each, to which its probability is proportional; None makes them equal.
    :raises ValueError: for no transforms, and for weights of another number, negative, or all zero.
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

    def chosen(self, name: str, u: Tensor) -> str | None:
        return name_of(self.transforms[int(self.member(u))])

    def member(self, u: Tensor) -> Tensor:
        return select(u, self.weights, [torch.full_like(u, k) for k in range(len(self.transforms))]).long()

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        matrices = [t.matrix(values[str(k)], frame) for k, t in enumerate(self.transforms)]
        width = max(matrix.shape[2] for matrix in matrices)  # a contrast's has columns for the means
        matrices = [functional.pad(matrix, (0, width - matrix.shape[2])) for matrix in matrices]
        return select(values["selector"], self.weights, matrices)

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        places = []
        for k, t in enumerate(self.transforms):
            place = t.carry(points, values[str(k)], frame, way)
            places.append(place if self.kind is Kind.GEOMETRY else settled(t, place, frame, way))
        kept = torch.zeros((1, 1, 1), dtype=torch.bool, device=points.x.device)
        x, y, lost = (
            select(values["selector"], self.weights, options)
            for options in zip(*((p.x, p.y, kept if p.lost is None else p.lost) for p in places), strict=True)
        )
        return Coords(x, y, None if all(place.lost is None for place in places) else lost)

    def reorder(self, order: Tensor, values: Values, way: Carrying) -> Tensor:
        orders = [t.reorder(order, values[str(k)], way) for k, t in enumerate(self.transforms)]
        return select(values["selector"], self.weights, orders)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        if x.device.type == "cpu":
            members = [torch.full_like(values["selector"], k, dtype=torch.int64) for k in range(len(self.transforms))]
            choice = select(values["selector"], self.weights, members)
            return apply_chosen(x, choice, self.transforms, [values[str(k)] for k in range(len(members))])
        images = [same_shape(x, t.apply(x, values[str(k)])) for k, t in enumerate(self.transforms)]
        return select(values["selector"], self.weights, images)
