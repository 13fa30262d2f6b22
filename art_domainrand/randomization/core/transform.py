"""What a transform is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from enum import Enum
from functools import cached_property
from textwrap import shorten
from typing import Any, ClassVar, TypeAlias

from torch import Tensor

from art_domainrand.core.arrays import as_python
from art_domainrand.randomization.core.distributions import Distribution, as_distribution, icdf_columns
from art_domainrand.randomization.core.draw import Draw as Draw
from art_domainrand.randomization.numerics.color_maps import apply_color
from art_domainrand.randomization.numerics.positions import Carrying, Coords, Frame, Sampling, frame_of

Values: TypeAlias = Mapping[str, Any]
"""The physical values of one transform: name -> (B,) tensor; ``seed`` -> (B,) int64 where the transform is seeded.

A transform made of others has one nested mapping for each member, under the member's index as a string.
"""


class Kind(Enum):
    """How a transform acts, and so with which neighbours it fuses."""

    GEOMETRY = "geometry"
    COLOR = "color"
    PIXEL = "pixel"


class Transform(ABC):
    """A parametric change of an image; final subclasses are frozen dataclasses.

    Fields are distributions (or what :func:`as_distribution` reads as one: a number is a constant, a pair a uniform
    range) and plain numbers. ``apply`` is pure: it neither clips nor mutates, and uses no global state.
    """

    seeded: ClassVar[bool] = False
    """Whether ``values`` must hold the per-image ``seed``; wrappers override it by a property."""

    differentiable: ClassVar[bool] = True
    """Whether the gradients in the image and in every continuous parameter are those of ``apply``, almost everywhere.

    False where a step has no useful gradient and another one stands in for it; the docstring says which. Wrappers
    override it by a property: ask an instance.
    """

    units: ClassVar[Mapping[str, str]] = {}
    """What each range is measured in: the field's name -> "degrees", "pixels", "share", ..."""

    seen: ClassVar[tuple[str, ...]] = ()
    """Attributes beside the fields in which one that can be fitted keeps what it has seen."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value = as_python(getattr(self, field.name))
            read = as_distribution(field.name, value) if isinstance(field.default, Distribution) else value
            object.__setattr__(self, field.name, read)

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """Geometry and colour transforms yield matrices and fuse with neighbours of their kind."""

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        """The coordinates of the unit cube this transform takes, in order, and how each becomes a value."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {name: value for name, value in found.items() if isinstance(value, Distribution)}

    @property
    def sampling(self) -> Sampling | None:
        """How a geometric transform reads between and beyond the pixels; None takes what a neighbour says."""
        return None

    @property
    def projective(self) -> bool:
        """Whether a geometric matrix can have a last row other than (0, 0, 1)."""
        return False

    @property
    def tracked(self) -> bool:
        """Whether :meth:`carry` tells where every pixel goes, so that labels can follow."""
        return True

    @property
    def has_matrix(self) -> bool:
        """Whether a geometric transform is one matrix for each image, rather than a displacement field."""
        return self.kind is Kind.GEOMETRY

    def chosen(self, name: str, u: Tensor) -> str | None:
        """What a coordinate of the unit cube chooses where it says which or whether; most say how much, and choose not.

        :param name: one of :attr:`parameters`.
        :param u: the coordinate, a tensor with one element.
        :return: a word for what is chosen at ``u``; None for a coordinate of degree.
        """
        return None

    def has_slope(self, name: str) -> bool:
        """Whether a coordinate of the transform's own can be climbed by its gradient, as far as is known beforehand.

        :param name: one of :attr:`parameters`.
        """
        return self.differentiable

    def check_channels(self, channels: int) -> None:
        """Refuse images that are not taken, whatever is drawn; most transforms take any number of channels.

        What this says of a transform made of others holds for each of them, also for one that is seldom chosen.

        :param channels: the number of channels of the images.
        :raises ValueError: unless so many channels are taken.
        """
        return

    def values(self, u: Tensor, seeds: Tensor) -> Values:
        """Turn a draw into the values that :meth:`apply` takes.

        :param u: coordinates of the unit cube, (B, P), one column for each of the ``parameters`` in order.
        :param seeds: the seeds of pixel fields, (B,) int64.
        :return: the values of each parameter (B,) by name, and "seed" if the transform is ``seeded``.
        """
        return self.arrange(icdf_columns(tuple(self.parameters.values()), u), seeds)

    def arrange(self, columns: Sequence[Tensor], seeds: Tensor) -> Values:
        """Name the values of the ``parameters``.

        :param columns: the values of each parameter, (B,), in their order.
        :param seeds: the seeds of pixel fields, (B,) int64.
        """
        values: dict[str, Any] = dict(zip(self.parameters, columns, strict=True))
        if self.seeded:
            values["seed"] = seeds
        return values

    def matrix(self, values: Values, frame: Frame) -> Tensor:
        """The matrix of a geometry or colour transform; PIXEL transforms have none.

        :param values: what :meth:`values` made of a draw of B images.
        :param frame: the size of the images.
        :raises TypeError: if there is no matrix.
        """
        raise TypeError(f"{type(self).__name__} has no matrix")

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        """Where points of the image come to lie; where they are, unless the transform moves pixels.

        A PIXEL transform that moves some overrides this, and calls ``way.settle`` itself if it resamples.

        :param points: positions in pixels from the image centre.
        :param values: what :meth:`values` made of a draw of B images.
        :param frame: the size of the images.
        :param way: forwards or backwards, and what befalls the points when an image is resampled.
        """
        return points

    def reorder(self, order: Tensor, values: Values, way: Carrying) -> Tensor:
        """Which of its keypoints each image shows in the place of each; as it was, unless some are swapped.

        :param order: the index of the keypoint in each place so far, (B, K) int64.
        :param values: what :meth:`values` made of a draw of B images.
        :param way: forwards or backwards.
        :return: the new index in each place, (B, K).
        """
        return order

    def with_members(self, members: tuple[Transform, ...]) -> Transform:
        """The same, made of other transforms.

        :param members: in the order of those it is made of, which have places in its ``parameters``.
        :raises TypeError: for a transform that is made of none.
        """
        change: dict[str, Any] = {"transform": members[0]} if hasattr(self, "transform") else {"transforms": members}
        return replace(self, **change)  # type: ignore[type-var]

    def with_fields(self, changes: Mapping[str, Any]) -> Transform:
        """The same with other fields, having seen what this one was fitted to, if anything.

        :param changes: name -> value.
        """
        made: Transform = replace(self, **changes)  # type: ignore[type-var]
        for name in self.seen:
            if hasattr(self, name):
                object.__setattr__(made, name, getattr(self, name))
        return made

    @abstractmethod
    def apply(self, x: Tensor, values: Values) -> Tensor:
        """Change each image by its own values; the result is not clipped.

        :param x: images (B, C, H, W) in [0, 1], float32 or float64.
        :param values: what :meth:`values` made of a draw of B images.
        """


class ColorTransform(Transform):
    """Mixes channels linearly: ``matrix`` is (B, C, C + 1), the gains and then the offset.

    C more columns, if there are, are the gains of the channel means of the image.
    """

    @property
    def kind(self) -> Kind:
        return Kind.COLOR

    @abstractmethod
    def matrix(self, values: Values, frame: Frame) -> Tensor:
        """The colour matrix (B, C, C + 1), or (B, C, 2 C + 1) if it uses the channel means.

        :param values: what :meth:`values` made of a draw of B images.
        :param frame: the size of the images.
        """

    def apply(self, x: Tensor, values: Values) -> Tensor:
        return apply_color(x, self.matrix(values, frame_of(x)))


class PixelTransform(Transform):
    """Any other change; it applies itself and does not fuse."""

    @property
    def kind(self) -> Kind:
        return Kind.PIXEL


def leaves_of(transform: Transform) -> list[Transform]:
    """The transforms that ``transform`` is made of, itself if it is made of none."""
    inner = getattr(transform, "transforms", None) or (getattr(transform, "transform", None),)
    parts = [part for part in inner if isinstance(part, Transform)]
    return [leaf for part in parts for leaf in leaves_of(part)] or [transform]


def untracked_in(transform: Transform) -> list[str]:
    """What in ``transform``, itself included, moves pixels without saying where to, as text."""
    if not transform.tracked:
        return [shorten(repr(transform), 200, placeholder=" ...")]
    inner = getattr(transform, "transforms", None) or (getattr(transform, "transform", None),)
    return [name for part in inner if isinstance(part, Transform) for name in untracked_in(part)]


def moves_pixels(leaf: Transform) -> bool:
    """Whether a transform that is made of no others moves points of the image, known where to or not."""
    return leaf.kind is Kind.GEOMETRY or type(leaf).carry is not Transform.carry or not leaf.tracked


def settled(transform: Transform, points: Coords, frame: Frame, way: Carrying) -> Coords:
    """What becomes of ``points`` that ``transform`` has carried, if it is a resampling of its own."""
    if way.settle is None or transform.kind is not Kind.GEOMETRY:
        return points
    return way.settle(points, transform.sampling or Sampling(), frame)


def require_rgb(transform: Transform, channels: int) -> None:
    """Raise ValueError unless there are three channels."""
    if channels != 3:
        raise ValueError(f"{type(transform).__name__} needs RGB images with 3 channels, got {channels}")
