"""What modalities there are: how each is read between its pixels, and what may change its values."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from art_domainrand.core.arguments import require
from art_domainrand.core.arrays import as_python
from art_domainrand.randomization.core.pipeline import Item, as_transform
from art_domainrand.randomization.core.transform import Transform, Values, leaves_of, moves_pixels
from art_domainrand.randomization.labels.rows import check_fill
from art_domainrand.randomization.modalities.modality import Modality
from art_domainrand.randomization.modalities.motion import Motion
from art_domainrand.randomization.numerics.positions import MODES

Magnified: TypeAlias = Literal["kept", "divided", "multiplied"]


@dataclass(frozen=True)
class ImageModality(Modality):
    """What a camera sees: RGB, grey, thermal, near infrared; floating, in [0, 1].

    :param change: its own photometric transforms, which come after the geometry as the sensor's do: anything that a
        pipeline is made of, and that does not move pixels. None leaves the values alone.
    :param mode: how it is read between pixels: "bilinear", "nearest" or "bicubic", in one sampling however many
        transforms move it; None leaves that to the transforms, as in a pipeline.
    :param fill: what lies beyond the image; None takes what the transforms' padding says.
    :raises ValueError: for an unknown mode, a ``fill`` that is not finite, and a transform that moves pixels.
    """

    change: Transform | None = None
    mode: str | None = None
    fill: float | None = None

    def __init__(self, change: Item | None = None, mode: str | None = None, fill: float | None = None) -> None:
        require(mode is None or mode in MODES, "mode", f"be None or one of {MODES}", mode)
        _set(self, change=as_change(change), mode=mode, fill=as_number("fill", fill))

    def move(self, x: Tensor, motion: Motion) -> Tensor:
        if self.mode is None and self.fill is None:
            return motion.apply(x)
        return motion.read(x, self.mode or "bilinear", self.fill)


@dataclass(frozen=True)
class DepthModality(Modality):
    """Distances, with a value for pixels at which the sensor found none.

    A distance between that of an object and that of its background is that of neither, and one between a distance and
    "no reading" is none at all. So it is read by the nearest pixel, or as the mean of the valid pixels alone, by their
    bilinear weights; where these are less than half of all, there is no reading (normalized convolution: Knutsson and
    Westin, CVPR 1993). Beyond the image there is no reading either, and what is invalid no ``change`` makes valid.

    A transform that magnifies the image does not say why it is larger. ``magnified`` does: after a zoom of the lens all
    distances are the same ("kept"); a camera that came closer by a factor s sees each divided by s, as Eigen, Puhrsch
    and Fergus 2014 (arXiv:1406.2283) augment depth, so that size and distance of an object still belong together
    ("divided"); disparities and inverse depths grow with s ("multiplied"). s is the square root of the change of areas,
    one number for the image: mirroring, turning and slanting leave distances as they are.

    :param change: its own transforms, such as a sensor's noise; none that moves pixels or needs RGB. One that looks at
        neighbours, such as a blur, takes an invalid value for a distance.
    :param mode: "nearest", or "bilinear", which has a gradient in the draw.
    :param invalid: the value of pixels without a reading; finite, in [0, 1] where a preprocessor has brought its
        ``clip_values`` there. Replace NaN by a number first.
    :param magnified: what becomes of distances where the image is magnified: "kept", "divided" or "multiplied". For
        the last two a value of 0 must mean a distance (or disparity) of 0.
    :raises ValueError: for any other mode or word, an ``invalid`` that is not finite, and such transforms.
    """

    change: Transform | None = None
    mode: Literal["nearest", "bilinear"] = "nearest"
    invalid: float = 0.0
    magnified: Magnified = "kept"

    def __init__(
        self,
        change: Item | None = None,
        mode: Literal["nearest", "bilinear"] = "nearest",
        invalid: float = 0.0,
        magnified: Magnified = "kept",
    ) -> None:
        require(mode in ("nearest", "bilinear"), "mode", 'be "nearest" or "bilinear"', mode)
        words = ("kept", "divided", "multiplied")
        require(magnified in words, "magnified", f"be one of {words}", magnified)
        require(invalid is not None, "invalid", "be a finite number", invalid)
        _set(self, change=as_change(change), mode=mode, invalid=as_number("invalid", invalid), magnified=magnified)
        self.check_channels(1)

    @property
    def needs_whole(self) -> bool:
        return self.magnified != "kept"

    def check_channels(self, channels: int) -> None:
        require(channels == 1, "channels", "be 1, as depth has one channel", channels)
        super().check_channels(channels)

    def move(self, x: Tensor, motion: Motion) -> Tensor:
        if self.mode == "nearest":
            moved = motion.read(x, "nearest", self.invalid)
        else:
            valid = (x != self.invalid).to(x.dtype)
            weight = motion.read(valid, "bilinear", 0)
            total = motion.read(x * valid, "bilinear", 0)
            moved = torch.where(weight >= 0.5, total / weight.clamp_min(0.5), self.invalid)
        if self.magnified == "kept" or motion.geometry is None:
            return moved
        shrinking = motion.shrinking(x)
        factor = (shrinking if self.magnified == "divided" else 1 / shrinking).to(x.dtype)
        return torch.where(moved == self.invalid, moved, moved * factor)

    def apply(self, x: Tensor, motion: Motion, values: Values) -> Tensor:
        moved = self.move(x, motion)
        if self.change is None:
            return moved
        return torch.where(moved == self.invalid, moved, self.change.apply(moved, values))


@dataclass(frozen=True)
class MaskModality(Modality):
    """Labels of pixels, of any dtype: they have no colour that could change.

    :param fill: what lies beyond the image: 0, or what a loss ignores, such as 255; None takes what the transforms'
        padding says, as the images do.
    :param mode: "nearest": every label is one of the given ones; "bilinear" for soft, floating masks.
    :raises ValueError: for another mode, and a ``fill`` that is not finite.
    """

    fill: float | None = 0
    mode: Literal["nearest", "bilinear"] = "nearest"

    def __post_init__(self) -> None:
        require(self.mode in ("nearest", "bilinear"), "mode", 'be "nearest" or "bilinear"', self.mode)
        _set(self, fill=as_number("fill", self.fill))

    @property
    def change(self) -> Transform | None:  # type: ignore[override]
        return None

    @property
    def takes_integers(self) -> bool:
        return True

    def move(self, x: Tensor, motion: Motion) -> Tensor:
        check_fill(self.fill, x.dtype)
        if self.mode == "bilinear":
            require(x.is_floating_point(), "mask", 'be floating for mode="bilinear"', x.dtype)
        return motion.read(x, self.mode, self.fill)


MODALITIES: dict[str, type[Modality]] = {"image": ImageModality, "depth": DepthModality, "mask": MaskModality}
"""Name in documents -> class."""


def as_change(item: Item | None) -> Transform | None:
    """Read photometric transforms as one; ValueError for one that moves pixels, which all modalities must do."""
    transform = transform_or_none(item)
    leaves = [] if transform is None else leaves_of(transform)
    moving = next((leaf for leaf in leaves if moves_pixels(leaf)), None)
    if moving is not None:
        raise ValueError(
            f"change must not move pixels, got {' '.join(repr(moving).split())}; put it into geometry, which moves all "
            "modalities alike"
        )
    return transform


def transform_or_none(item: Item | None) -> Transform | None:
    """Read transforms as one; None for None and for an empty list, of which there is nothing to do."""
    empty = isinstance(item, (list, tuple)) and not item
    return None if item is None or empty else as_transform(item)


def as_number(name: str, value: Any) -> float | None:
    """Read None or a finite number as Python's own; else ValueError."""
    number = isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)
    require(value is None or number, name, "be a finite number", value)
    return as_python(value)  # type: ignore[no-any-return]


def _set(instance: Modality, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(instance, name, value)
