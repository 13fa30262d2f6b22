"""How one draw moves all modalities of a scene: the same positions, read in each modality's own way."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from art_domainrand.randomization.core.transform import Transform, Values, settled
from art_domainrand.randomization.labels.reading import Sources, in_double, read_at, sources_of
from art_domainrand.randomization.numerics.matrices import constant
from art_domainrand.randomization.numerics.positions import Carrying, Coords, Frame, Sampling, frame_of

UNIT_CORNERS = ((-0.5, 0.5, 0.5, -0.5), (-0.5, -0.5, 0.5, 0.5))
"""Of an image of side one, x and y."""


@dataclass(frozen=True, eq=False)
class Motion:
    """The ``geometry`` that all modalities share, with its ``values`` of B images; None leaves all where it is."""

    geometry: Transform | None
    values: Values
    _known: dict[tuple[int, int, str, bool], Sources] = field(default_factory=dict, init=False, repr=False)

    def apply(self, x: Tensor) -> Tensor:
        """Move images (B, C, H, W) as the transforms themselves do, with their own sampling and padding."""
        return x if self.geometry is None else self.geometry.apply(x, self.values)

    def read(self, x: Tensor, mode: str, fill: float | None) -> Tensor:
        """Move ``x`` (B, C, H, W), of any dtype for "nearest", in one sampling.

        Beyond the image there is ``fill``; None takes what the transforms' padding says.
        """
        if self.geometry is None:
            return x
        return read_at(x, self._sources(x, mode, cut=fill is not None), Sampling(mode), fill or 0)

    def shrinking(self, x: Tensor) -> Tensor:
        """One over the magnification of each of the images ``x``, (B, 1, 1, 1), in float64.

        The magnification is the square root of the change of areas. For the image as a whole this is read off the
        place in the source, a quadrilateral, which the four corners of the moved image show: the square root of its
        share of the image. Exact for every affine map, where areas change alike everywhere.
        """
        if self.geometry is None:
            return torch.ones(1, 1, 1, 1, dtype=torch.float64, device=x.device)
        frame = frame_of(x)
        corners = constant(UNIT_CORNERS, torch.float64, x.device)
        outline = Coords(corners[0, None, None] * frame.width, corners[1, None, None] * frame.height)
        seen = self._carry(outline, frame, Carrying(backward=True))
        twice = (seen.x * seen.y.roll(-1, 2) - seen.x.roll(-1, 2) * seen.y).sum(2, keepdim=True)
        return (twice.abs() / (2 * frame.width * frame.height)).sqrt()[..., None]

    @cached_property
    def _doubled(self) -> Values:
        return in_double(self.values)

    def _sources(self, x: Tensor, mode: str, *, cut: bool) -> Sources:
        assert self.geometry is not None
        # Of one size, what is read alike is read at the same places: they are worked out once.
        key = (x.shape[-2], x.shape[-1], "nearest" if mode == "nearest" else "soft", cut)
        if key not in self._known:
            self._known[key] = sources_of(self._carry, x, x.shape, mode, cut=cut)
        return self._known[key]

    def _carry(self, points: Coords, frame: Frame, way: Carrying) -> Coords:
        assert self.geometry is not None
        return settled(self.geometry, self.geometry.carry(points, self._doubled, frame, way), frame, way)
