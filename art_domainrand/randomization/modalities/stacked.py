"""Several modalities as the channels of one image, so that one draw moves them together wherever a pipeline goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from art_domainrand.core.arguments import Text, nearest, require
from art_domainrand.randomization.core.chain import nested_values, prefixed
from art_domainrand.randomization.core.distributions import Distribution
from art_domainrand.randomization.core.transform import (
    Kind,
    PixelTransform,
    Transform,
    Values,
    leaves_of,
    moves_pixels,
    settled,
)
from art_domainrand.randomization.labels.geometry import refuse_untracked
from art_domainrand.randomization.modalities.modality import Modality
from art_domainrand.randomization.modalities.motion import Motion
from art_domainrand.randomization.numerics.positions import Carrying, Coords, Frame


@dataclass(frozen=True)
class StackedModalities(PixelTransform):
    """Move all modalities of a scene alike, each read in its own way, then change each by its own transforms.

    :class:`~art_domainrand.randomization.MultiModal` makes it, and explains it.

    :param names: the names of all modalities.
    :param modalities: what each is.
    :param stacked: the names of those in the image, in the order of their channels; others may be elsewhere, as masks
        are among the labels, and keep their coordinates of the unit cube.
    :param channels: how many channels each of ``stacked`` has, >= 1.
    :param geometry: what moves all of them; None moves none.
    :raises ValueError: for names that are not distinct or not known, counts that do not fit, a geometry that changes
        colours or is not tracked, and a modality that does not take its number of channels.
    """

    names: tuple[str, ...]
    modalities: tuple[Modality, ...]
    stacked: tuple[str, ...]
    channels: tuple[int, ...]
    geometry: Transform | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        named = all(isinstance(name, str) and name for name in self.names)
        require(named and len(set(self.names)) == len(self.names), "names", "be distinct names", self.names)
        alike = len(self.names) == len(self.modalities) and len(self.names) > 0
        require(alike, "modalities", f"be one for each of the names {self.names}", len(self.modalities))
        for name in self.stacked:
            check_known("stacked", name, self.names)
        distinct = len(self.stacked) == len(set(self.stacked)) == len(self.channels)
        counts = dict(zip(self.stacked, self.channels, strict=False))
        require(distinct, "channels", f"be a number for each of {self.stacked}, which are distinct", self.channels)
        for name, count in counts.items():
            whole = isinstance(count, int) and not isinstance(count, bool) and count >= 1
            require(whole, f"channels[{name!r}]", "be an int >= 1", count)
            checked_channels(name, self.modality(name), count)
        check_geometry(self.geometry, dict(zip(self.names, self.modalities, strict=True)))

    @cached_property
    def transforms(self) -> tuple[Transform, ...]:
        """What it is made of, in the order of its coordinates: the geometry, then each modality's own."""
        own = [modality.change for modality in self.modalities]
        return tuple(transform for transform in (self.geometry, *own) if transform is not None)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        """The members' parameters, each name after the member's index."""
        return prefixed(self.transforms)

    @cached_property
    def seeded(self) -> bool:  # type: ignore[override]
        """Whether any member is."""
        return any(transform.seeded for transform in self.transforms)

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Whether all members are."""
        return all(transform.differentiable for transform in self.transforms)

    @cached_property
    def places(self) -> Mapping[str, str]:
        """Under which key of the values those of each modality's own transforms are."""
        changing = [
            name for name, modality in zip(self.names, self.modalities, strict=True) if modality.change is not None
        ]
        return {name: str(place + (self.geometry is not None)) for place, name in enumerate(changing)}

    def with_members(self, members: tuple[Transform, ...]) -> Transform:
        rest = iter(members)
        geometry = None if self.geometry is None else next(rest)
        # A modality without transforms of its own, as a mask is, has no field for them.
        again = [one if one.change is None else replace(one, change=next(rest)) for one in self.modalities]  # type: ignore[type-var]
        return replace(self, geometry=geometry, modalities=tuple(again))

    def modality(self, name: str) -> Modality:
        """The modality of this name.

        :param name: one of ``names``.
        """
        return self.modalities[self.names.index(name)]

    def check_channels(self, channels: int) -> None:
        if channels != sum(self.channels):
            counts = ", ".join(f"{name} {count}" for name, count in zip(self.stacked, self.channels, strict=True))
            raise ValueError(f"x must have {sum(self.channels)} channels ({counts}), got {channels}")

    def arrange(self, columns: Sequence[Tensor], seeds: Tensor) -> Values:
        return nested_values(self.transforms, columns, seeds)

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        if self.geometry is None:
            return points
        return settled(self.geometry, self.geometry.carry(points, values["0"], frame, way), frame, way)

    def reorder(self, order: Tensor, values: Values, way: Carrying) -> Tensor:
        return order if self.geometry is None else self.geometry.reorder(order, values["0"], way)

    def split(self, x: Tensor) -> dict[str, Tensor]:
        """The channels of each modality: name -> (B, C, H, W).

        :param x: stacked images (B, C, H, W).
        :raises ValueError: for another number of channels.
        """
        self.check_channels(x.shape[1])
        return dict(zip(self.stacked, torch.split(x, list(self.channels), dim=1), strict=True))

    def apply(self, x: Tensor, values: Values) -> Tensor:
        return torch.cat(list(self.apply_each(self.split(x), values).values()), dim=1)

    def apply_each(self, pictures: Mapping[str, Tensor], values: Values) -> dict[str, Tensor]:
        """Change pictures of some of the modalities.

        :param pictures: name -> (B, C, H, W).
        :param values: what :meth:`values` made of a draw of B images.
        """
        motion = Motion(self.geometry, {} if self.geometry is None else values["0"])
        return {
            name: self.modality(name).apply(x, motion, values[self.places[name]] if name in self.places else {})
            for name, x in pictures.items()
        }


def check_known(argument: str, name: str, known: Sequence[str]) -> None:
    """Raise ValueError, with the nearest one, for a modality that is not known."""
    got = Text(f"{name!r}{nearest(name, known) if isinstance(name, str) else ''}")
    require(name in known, argument, f"name modalities among {list(known)}", got)


def checked_channels(name: str, modality: Modality, channels: int) -> None:
    """Raise ValueError, which names the modality, unless it takes so many channels."""
    try:
        modality.check_channels(channels)
    except ValueError as error:
        raise ValueError(f"modalities[{name!r}]: {error}") from None


def check_geometry(geometry: Transform | None, modalities: Mapping[str, Modality]) -> None:
    """Raise ValueError for a geometry that does more than to move pixels, or does not say where to."""
    if geometry is None:
        return
    refuse_untracked(geometry)
    for leaf in leaves_of(geometry):
        advice = "; what changes colours belongs to one of the modalities"
        shown = Text(f"{' '.join(repr(leaf).split())}{advice}")
        require(moves_pixels(leaf), "geometry", "move pixels and change nothing else", shown)
        for name, modality in modalities.items():
            if modality.needs_whole:
                rule = f"move the image as a whole, as the distances of modalities[{name!r}] follow its magnification"
                require(leaf.kind is Kind.GEOMETRY, "geometry", rule, leaf)
