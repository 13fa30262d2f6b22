"""A flow field that is chosen, not drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from art_domainrand.randomization.core.distributions import Distribution, Range, Uniform, require_support
from art_domainrand.randomization.core.moving import DisplacementTransform
from art_domainrand.randomization.core.transform import Values
from art_domainrand.randomization.numerics.matrices import constant
from art_domainrand.randomization.numerics.positions import Coords, Frame, Sampling
from art_domainrand.randomization.numerics.splines import spline_surface
from art_domainrand.randomization.numerics.warp import resample
from art_domainrand.randomization.unforeseen.latents import (
    SIGNED,
    each,
    latent_grid,
    latents,
    require_counts,
    within_rms,
)


@dataclass(frozen=True)
class FlowField(DisplacementTransform):
    """Move every pixel by a smooth flow: StAdv, whose flow is made smooth by a spline instead of a penalty.

    As :class:`~art_domainrand.randomization.Elastic`, a cubic B-spline that cannot fold, but its (cells + 3)^2 control
    points are coordinates from -1 to 1 in x and in y: an adversary moves them (Xiao et al., "Spatially transformed
    adversarial examples", ICLR 2018; "elastic" of ImageNet-UA, Kaufmann et al., arXiv:1908.08016).

    :param strength: how far a control point is displaced at most in x and in y, from 0 to 0.48, as a share of a cell.
        A bound eps on the flow in coordinates from -1 to 1, as StAdv's, is ``cells`` eps / 2 of this.
    :param rms: what the root mean square of all these displacements may be, from 0 to 0.48, as a share of a cell.
        ImageNet-UA's eps, the L2 norm of all in coordinates from -1 to 1, is 2 sqrt(2) times this.
    :param cells: the spline is laid over ``cells`` x ``cells`` cells; an int >= 1.
    :param mode: how pixels are read: "bilinear", "nearest" or "bicubic".
    :param padding: what lies beyond the image: "zeros", "border" or "reflection".
    :raises ValueError: for values outside these bounds, and an unknown mode or padding.
    """

    strength: Range = Uniform(0.0, 0.4)
    rms: Range = Uniform(0.05, 0.25)
    cells: int = 3
    mode: str = "bilinear"
    padding: str = "border"
    units: ClassVar[Mapping[str, str]] = {"strength": "cells", "rms": "cells"}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("strength", "rms"):
            require_support(name, getattr(self, name), low=0, high=0.48)
        require_counts(cells=self.cells)

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        return {**super().parameters, **latent_grid(SIGNED, "flow", 2, self.cells + 3, self.cells + 3)}

    def displacement(self, points: Coords, values: Values, frame: Frame) -> tuple[Tensor, Tensor]:
        flow = self.flow(values, frame)
        if not points.lattice:
            # The field between the pixels is the straight line between its values at them.
            flow = resample(flow, points, Sampling(padding="border"))
        return flow[:, 0], flow[:, 1]

    def flow(self, values: Values, frame: Frame) -> Tensor:
        """The displacement at every pixel, (B, 2, H, W): right, then down, in pixels.

        :param values: what :meth:`values` made of a draw of B images.
        :param frame: the size of the images.
        """
        count = self.cells + 3
        strength = each(values["strength"])
        controls = within_rms(latents(values, "flow", 2, count, count) * strength, values["rms"])
        cell = constant(
            (((frame.width - 1) / self.cells,), ((frame.height - 1) / self.cells,)), strength.dtype, strength.device
        )
        return spline_surface(controls * cell[:, :, None], frame.height, frame.width)
