"""The domain of reference images: statistics fitted once, then given to any image."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.arrays import as_images, check_unit_range
from art_domainrand.core.digests import tensors_digest
from art_domainrand.randomization.core.transform import Values
from art_domainrand.randomization.domains.domain import Domain
from art_domainrand.randomization.domains.lab import lab_to_rgb, rgb_to_lab
from art_domainrand.randomization.numerics.color_maps import apply_color
from art_domainrand.randomization.numerics.matrices import multiply, pixel_sum

FLOOR = 1e-6
"""What is added to variances, in units of [0, 1] squared: an image of one colour has nothing to be stretched."""


@dataclass(frozen=True, eq=False, repr=False)
class ReferenceDomain(Domain):
    """Give images the statistics of reference images; call :meth:`fit` once, then apply as often as wanted.

    Statistics are those of all references together, which may be of any size; images must have as many channels.

    :param severity: from 1 to 5, the full map.
    """

    seen: ClassVar[tuple[str, ...]] = ("_fitted",)

    def fit(self, references: Tensor | NDArray[Any]) -> Self:
        """Measure reference images; returns the object itself, now fitted.

        :param references: images (N, C, H, W), N >= 1, floating, in [0, 1]; a tensor or a NumPy array.
        :raises ValueError: for anything else.
        """
        references = as_images("references", references)
        if references.numel() == 0:
            raise ValueError(f"references must be at least one image, got shape {tuple(references.shape)}")
        check_unit_range("references", references)
        measured = self.measure(references.detach().double())
        # Not a field: two fits of one object have the same parameters and differ in what they have seen.
        object.__setattr__(self, "_fitted", {None: (references.shape[1], measured)})
        return self

    @property
    def is_fitted(self) -> bool:
        """Whether :meth:`fit` has been called."""
        return hasattr(self, "_fitted")

    def __repr__(self) -> str:
        """The fields, and of a fitted one a hash of what it has seen, by which a run that goes on knows it."""
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.is_fitted:
            measured = self._fitted[None][1]  # type: ignore[attr-defined]
            shown["fitted"] = tensors_digest({str(place): one for place, one in enumerate(measured)})
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self.is_fitted:  # copies on devices are made again where they are needed
            state["_fitted"] = {None: state["_fitted"][None]}
        return state

    def check_channels(self, channels: int) -> None:
        if self.is_fitted and self._fitted[None][0] != channels:  # type: ignore[attr-defined]
            wanted = self._fitted[None][0]  # type: ignore[attr-defined]
            raise ValueError(f"x must have {wanted} channels, as many as the references, got {channels}")

    def statistics(self, x: Tensor) -> tuple[Tensor, ...]:
        """What :meth:`measure` found, in the dtype and on the device of the images; copied there once.

        :param x: images (B, C, H, W), of as many channels as the references.
        :raises ValueError: for another number of channels, and before :meth:`fit` has been called.
        """
        if not self.is_fitted:
            raise ValueError(f"{type(self).__name__} must be fitted to reference images first, by its method fit")
        fitted: dict[Any, Any] = self._fitted  # type: ignore[attr-defined]
        self.check_channels(x.shape[1])
        measured = fitted[None][1]
        key = (x.dtype, x.device)
        if key not in fitted:
            with torch.inference_mode(False):
                fitted[key] = tuple(value.to(x) for value in measured)
        found: tuple[Tensor, ...] = fitted[key]
        return found

    @abstractmethod
    def measure(self, references: Tensor) -> tuple[Tensor, ...]:
        """The statistics of reference images.

        :param references: images (N, C, H, W), float64, in [0, 1].
        """


@dataclass(frozen=True, eq=False, repr=False)
class Histogram(ReferenceDomain):
    """Match the histogram of every channel of every image to that of the references' channel.

    x -> Q(F(x)) with the image's own cumulative histogram F and the references' quantiles Q. F is counted in 256 bins
    about the values of an 8-bit image, where it is exact, and is linear within a bin. The gradient is the slope of that
    curve, the histogram held fixed.

    :param severity: from 1 to 5, the full map.
    """

    def measure(self, references: Tensor) -> tuple[Tensor, ...]:
        columns = references.transpose(0, 1).flatten(1).sort(dim=1).values
        # The value below which a share p lies, at the midpoints of the pixels: 4097 shares from 0 to 1.
        place = torch.linspace(0, 1, 4097, dtype=torch.float64, device=references.device) * columns.shape[1] - 0.5
        place = place.clamp(0, columns.shape[1] - 1)
        below = place.floor().long()
        above = (below + 1).clamp_max(columns.shape[1] - 1)
        return (torch.lerp(columns[:, below], columns[:, above], (place - below)),)

    def full(self, x: Tensor, values: Values) -> Tensor:
        (quantiles,) = self.statistics(x)
        levels = x.clamp(0, 1) * 255
        bins = (levels.detach() + 0.5).floor().long()
        flat = bins.flatten(2)
        counts = torch.zeros(*x.shape[:2], 256, dtype=x.dtype, device=x.device)
        counts.scatter_add_(2, flat, torch.ones_like(flat, dtype=x.dtype))
        passed = counts.cumsum(2) - counts
        inside = levels - bins + 0.5
        rank = (_at(passed, bins) + _at(counts, bins) * inside) / flat.shape[2]
        place = rank.clamp(0, 1) * (quantiles.shape[1] - 1)
        below = place.detach().floor().long().clamp_max(quantiles.shape[1] - 2)
        table = quantiles.expand(len(x), -1, -1)
        low, high = _at(table, below), _at(table, below + 1)
        return low + (high - low) * (place - below)


def _at(table: Tensor, index: Tensor) -> Tensor:
    """Look up ``index`` (B, C, H, W) in the last axis of ``table`` (B, C, K)."""
    return table.gather(2, index.flatten(2)).view(index.shape)


@dataclass(frozen=True, eq=False, repr=False)
class Reinhard(ReferenceDomain):
    """Match mean and standard deviation of L, a and b in CIELAB; of the channels themselves unless there are three.

    Reinhard et al. (2001), "Color transfer between images", equations 10 and 11, in CIELAB for their l-alpha-beta.

    :param severity: from 1 to 5, the full map.
    """

    def measure(self, references: Tensor) -> tuple[Tensor, ...]:
        columns = _lab(references).transpose(0, 1).flatten(1)
        return columns.mean(dim=1).view(1, -1, 1, 1), columns.std(dim=1, correction=0).view(1, -1, 1, 1)

    def full(self, x: Tensor, values: Values) -> Tensor:
        mean, spread = self.statistics(x)
        lab = _lab(x)
        centred = lab - _mean(lab)
        own = (_mean(centred.square()) + FLOOR).sqrt()
        moved = centred * (spread / own) + mean
        return lab_to_rgb(moved) if x.shape[1] == 3 else moved


def _lab(x: Tensor) -> Tensor:
    return rgb_to_lab(x) if x.shape[1] == 3 else x


def _mean(x: Tensor) -> Tensor:
    """The mean over the pixels, (B, C, 1, 1), with bits that do not depend on the batch."""
    return (pixel_sum(x) / (x.shape[2] * x.shape[3]))[..., None]


@dataclass(frozen=True, eq=False, repr=False)
class Fourier(ReferenceDomain):
    """Take the low frequencies' amplitudes from the references and keep the phases (FDA).

    Yang and Soatto (CVPR 2020), equation 3. Theirs come from one random image of the other domain; here from the mean
    amplitude over all references. The gradient at a frequency that is not in the image at all is zero.

    :param severity: from 1 to 5, the full map.
    :param beta: the square of up to beta min(H, W) waves either way is swapped; in [0, 0.5].
    :raises ValueError: for values outside these bounds.
    """

    beta: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.beta, bool) or not isinstance(self.beta, (int, float)) or not 0 <= self.beta <= 0.5:
            raise ValueError(f"beta must be in [0, 0.5], got {self.beta!r}")

    def measure(self, references: Tensor) -> tuple[Tensor, ...]:
        return (torch.fft.rfft2(references, norm="forward").abs().mean(dim=0, keepdim=True),)

    def full(self, x: Tensor, values: Values) -> Tensor:
        (target,) = self.statistics(x)
        spectrum = torch.fft.rfft2(x, norm="forward")
        reach = min(
            math.floor(self.beta * min(x.shape[2:])),
            *((size - 1) // 2 for size in (x.shape[2], x.shape[3], target.shape[2])),
            target.shape[3] - 1,
        )
        # Waves down the image are counted 0, 1, ..., -2, -1; across it only from 0, the rest mirrors them.
        low = torch.cat((spectrum[:, :, : reach + 1], spectrum[:, :, x.shape[2] - reach :]), dim=2)[..., : reach + 1]
        wanted = torch.cat((target[:, :, : reach + 1], target[:, :, target.shape[2] - reach :]), dim=2)
        amplitude = (low.real.square() + low.imag.square()).clamp_min(1e-20).sqrt()
        absent = (low.detach() == 0).to(x.dtype)  # the phase of nothing is zero
        change = low * (wanted[..., : reach + 1] / amplitude - 1) + absent * wanted[..., : reach + 1]
        middle = change.new_zeros(*x.shape[:2], x.shape[2] - change.shape[2], reach + 1)
        columns = torch.cat((change[:, :, : reach + 1], middle, change[:, :, reach + 1 :]), dim=2)
        added = functional.pad(torch.view_as_real(columns), (0, 0, 0, spectrum.shape[3] - reach - 1))
        planes = torch.view_as_complex(added.contiguous()).flatten(0, 1)
        if len(planes) == 1:  # a single plane takes another algorithm, with other roundings: it goes in twice
            planes = planes.repeat(2, 1, 1)
        correction: Tensor = torch.fft.irfft2(planes, s=x.shape[2:], norm="forward")
        return x + correction[: x.shape[0] * x.shape[1]].view(x.shape)


@dataclass(frozen=True, eq=False, repr=False)
class Moments(ReferenceDomain):
    """Match mean and covariance of the channels: whitening, then colouring, both by symmetric square roots.

    x -> R^(1/2) S^(-1/2) (x - mean) + reference mean, for the covariances R of the references and S of the image. Of
    channels that are multiples of one another, S has no inverse: 1e-6 on its diagonal keeps such directions small.

    :param severity: from 1 to 5, the full map.
    """

    def measure(self, references: Tensor) -> tuple[Tensor, ...]:
        columns = references.transpose(0, 1).flatten(1)
        mean = columns.mean(dim=1, keepdim=True)
        values, vectors = torch.linalg.eigh((columns - mean) @ (columns - mean).T / columns.shape[1])
        root = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
        return mean[None], root[None]

    def full(self, x: Tensor, values: Values) -> Tensor:
        mean, root = self.statistics(x)
        own = _mean(x)
        centred = x - own
        rows = [pixel_sum(centred * centred[:, k : k + 1]) for k in range(x.shape[1])]
        covariance = torch.cat(rows, dim=2).double() / (x.shape[2] * x.shape[3])
        gains = multiply(root.double().expand_as(covariance), inverse_root(covariance + FLOOR * _eye(covariance)))
        offset = mean.double() - multiply(gains, own[..., 0].double())
        return apply_color(x, torch.cat((gains, offset), dim=2).to(x.dtype))


def inverse_root(matrix: Tensor) -> Tensor:
    """The symmetric S^(-1/2) of positive definite float64 matrices (B, C, C), by the coupled Newton iteration.

    Denman and Beavers in the product form without inverses (Higham, "Functions of Matrices", 2008, section 6.7), which
    needs no solver that would wait for the device and whose bits do not depend on the batch. From the trace as scale,
    40 steps reach rounding error for condition numbers up to 10^7.
    """
    eye = _eye(matrix)
    scale = matrix.diagonal(dim1=1, dim2=2).sum(1).view(-1, 1, 1)
    y, z = matrix / scale, eye.expand_as(matrix)
    for _ in range(40):
        step = 1.5 * eye - 0.5 * multiply(z, y)
        y, z = multiply(y, step), multiply(step, z)
    return z / scale.sqrt()


def _eye(matrix: Tensor) -> Tensor:
    return torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)


REFERENCE_METHODS: dict[str, type[ReferenceDomain]] = {
    "histogram": Histogram,
    "reinhard": Reinhard,
    "fourier": Fourier,
    "moments": Moments,
}
"""Name -> class of the domains that must be fitted to reference images."""
