"""Transforms that move pixels: by a matrix, or by a displacement field."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from art_domainrand.randomization.core.transform import Kind, Transform, Values
from art_domainrand.randomization.numerics.matrices import inverse3x3
from art_domainrand.randomization.numerics.positions import (
    Carrying,
    Coords,
    Frame,
    Sampling,
    frame_of,
    map_points,
    pixel_lattice,
    solve,
)
from art_domainrand.randomization.numerics.warp import resample, warp


class GeometricTransform(Transform):
    """Moves pixels: ``matrix`` is (B, 3, 3) and takes source to target positions in pixels, x right, y down.

    Positions are counted from the image centre ((W - 1) / 2, (H - 1) / 2), about which most of these transforms act;
    :func:`art_domainrand.randomization.numerics.warp.corner_matrix` counts from the first pixel, as Kornia does.
    ``mode`` is "bilinear", "nearest" or "bicubic"; ``padding``, what lies beyond the image, is "zeros", "border" or
    "reflection". Subclasses that need neither leave them out.
    """

    mode: str
    padding: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if hasattr(self, "mode"):
            Sampling(self.mode, self.padding)

    @property
    def kind(self) -> Kind:
        return Kind.GEOMETRY

    @property
    def sampling(self) -> Sampling | None:
        return Sampling(self.mode, self.padding)

    @abstractmethod
    def matrix(self, values: Values, frame: Frame) -> Tensor:
        """The forward matrix (B, 3, 3), in pixels from the image centre.

        :param values: what :meth:`values` made of a draw of B images.
        :param frame: the size of the images.
        """

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        matrix = self.matrix(values, frame)
        return map_points(inverse3x3(matrix) if way.backward else matrix, points, projective=self.projective)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        return warp(x, self.matrix(values, frame_of(x)), self.sampling or Sampling(), projective=self.projective)


class DisplacementTransform(Transform):
    """Moves pixels by a displacement field: the target pixel p shows what the source has at ``p + displacement(p)``.

    A field fuses with its geometric neighbours, matrices and fields alike, into one sampling. It must not fold (p to
    p + displacement(p) is one to one), so that points can be carried the other way, by Newton's method where the
    subclass knows no closed form. ``mode`` and ``padding`` are those of :class:`GeometricTransform`.
    """

    mode: str
    padding: str

    def __post_init__(self) -> None:
        super().__post_init__()
        Sampling(self.mode, self.padding)

    @property
    def kind(self) -> Kind:
        return Kind.GEOMETRY

    @property
    def has_matrix(self) -> bool:
        return False

    @property
    def sampling(self) -> Sampling | None:
        return Sampling(self.mode, self.padding)

    @abstractmethod
    def displacement(self, points: Coords, values: Values, frame: Frame) -> tuple[Tensor, Tensor]:
        """How far right and down of each point its source lies, in pixels.

        :param points: target positions in pixels from the image centre.
        :param values: what :meth:`values` made of a draw of B images.
        :param frame: the size of the images.
        :return: two tensors of rank three that broadcast: right, and down.
        """

    def carry(self, points: Coords, values: Values, frame: Frame, way: Carrying) -> Coords:
        def pull(target: Coords) -> Coords:
            right, down = self.displacement(target, values, frame)
            return target.moved(target.x + right, target.y + down)

        return pull(points) if way.backward else solve(pull, points)

    def apply(self, x: Tensor, values: Values) -> Tensor:
        lattice = pixel_lattice(x.shape[2], x.shape[3], x.dtype, x.device)
        points = self.carry(lattice, values, frame_of(x), Carrying(backward=True))
        return resample(x, points, self.sampling or Sampling())
