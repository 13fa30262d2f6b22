"""MixUp and CutMix: images and labels of a batch mixed in pairs.

They need several images, so they are no transforms of single images; but they keep the same discipline. ``sample``
gives an ordinary :class:`Draw`, one point of the unit cube for each image, and ``mix(x, y, draw)`` is a pure function
of it: same draw, same bits. One coordinate of the points decides who is mixed with whom, so a draw belongs to its whole
batch: a slice of it pairs the images of the slice among themselves.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.special import betaincinv
from torch import Tensor
from torch.nn import functional

from art_domainrand.core.arrays import as_python, widened
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.sampling import sample_points
from art_domainrand.randomization.numerics.coverage import covered

KNOTS = 4097
"""How finely the inverse of the beta distribution is tabulated."""


class Mixing(ABC):
    """Mixes each image of a batch, and its label, with a partner; final subclasses are frozen dataclasses."""

    alpha: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", as_python(self.alpha))
        if not (isinstance(self.alpha, (int, float)) and 0.01 <= self.alpha < math.inf):
            raise ValueError(f"alpha must be finite and >= 0.01, got {self.alpha!r}")

    @property
    @abstractmethod
    def coordinates(self) -> int:
        """How many coordinates of the unit cube an image takes: the pairing, the share, and the subclass's own."""

    @abstractmethod
    def blend(self, x: Tensor, partner: Tensor, share: Tensor, u: Tensor) -> Tensor:
        """Mix images with their partners.

        :param x: images (B, C, H, W).
        :param partner: the image each is mixed with, of the same shape.
        :param share: how much of ``x`` is kept, (B,) in [0, 1]; the rest is the partner's.
        :param u: the subclass's own coordinates of the unit cube, (B, ``coordinates`` - 2).
        """

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        *,
        method: str = "uniform",
    ) -> Draw:
        """Draw for a batch of images, as ``Pipeline.sample`` does; no global generator is touched.

        :param n: the number of images, >= 0.
        :param generator: where the draw comes from, by default the operating system.
        :param device: where the draw is to lie; by default where the ``generator`` lives.
        :param method: how the points of the unit cube lie to one another: "uniform", "antithetic", "sobol" or
            "stratified".
        :raises ValueError: for a negative ``n`` and an unknown method.
        """
        return sample_points(n, self.coordinates, generator, device, method)

    def mix(self, x: Tensor, y: Tensor, draw: Draw, classes: int | None = None) -> tuple[Tensor, Tensor]:
        """Mix images and labels with the draw of this batch.

        :param x: images (B, C, H, W), or clips (B, T, C, H, W); floating.
        :param y: class indices (B,), or probabilities (B, K).
        :param draw: what :meth:`sample` drew for B images.
        :param classes: the number of classes K; needed where ``y`` holds indices.
        :return: mixed images, and labels as probabilities (B, K), float32 or wider for indices, which
            ``torch.nn.CrossEntropyLoss`` takes, alone and inside ART's classifiers.
        :raises ValueError: if the draw or the labels do not fit, or ``x`` is no floating tensor.
        """
        if not isinstance(x, Tensor) or x.dim() not in (4, 5) or not x.is_floating_point():
            got = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"x must be a floating (B, C, H, W) or (B, T, C, H, W) tensor, got {got}")
        if x.dim() == 5:
            mixed, soft = self.mix(x.flatten(1, 2), y, draw, classes)
            return mixed.view(x.shape), soft
        if len(draw) != len(x) or draw.u.shape[1] != self.coordinates:
            raise ValueError(
                f"draw must be for {len(x)} images with {self.coordinates} coordinates each, got {tuple(draw.u.shape)}"
            )
        soft = probabilities(y, classes, x)
        if len(x) == 0:
            return x, soft
        wide = widened(x)
        u = draw.u.to(wide.dtype)
        partner, share = partners(u[:, 0]), symmetric_beta(u[:, 1], self.alpha)
        keep = share[:, None].to(soft.dtype)
        mixed = self.blend(wide, wide.index_select(0, partner), share, u[:, 2:]).to(x.dtype)
        return mixed, soft * keep + soft.index_select(0, partner) * (1 - keep)


@dataclass(frozen=True)
class MixUp(Mixing):
    """Blend two images and their labels with one random weight (Zhang et al., ICLR 2018).

    :param alpha: the weight is Beta(alpha, alpha); >= 0.01.
    :raises ValueError: for a smaller ``alpha`` and one that is not finite.
    """

    alpha: float = 0.2

    @property
    def coordinates(self) -> int:
        return 2

    def blend(self, x: Tensor, partner: Tensor, share: Tensor, u: Tensor) -> Tensor:
        return partner + (x - partner) * share.view(-1, 1, 1, 1)


@dataclass(frozen=True)
class CutMix(Mixing):
    """Paste a rectangle of one image into another, labels mixed by area (Yun et al., ICCV 2019, equations 1 and 2).

    The rectangle has the image's aspect and lies wholly inside it. Pixels on its edge are mixed by their share, so the
    labels' weights are the exact area.

    :param alpha: the area is Beta(alpha, alpha); >= 0.01.
    :raises ValueError: for a smaller ``alpha`` and one that is not finite.
    """

    alpha: float = 1.0

    @property
    def coordinates(self) -> int:
        return 4

    def blend(self, x: Tensor, partner: Tensor, share: Tensor, u: Tensor) -> Tensor:
        # The square root has an infinite slope where nothing is cut out.
        side = torch.sqrt((1 - share).clamp_min(1e-12))
        columns = covered(u[:, 0], side, x.shape[3])[:, None, None, :]
        rows = covered(u[:, 1], side, x.shape[2])[:, None, :, None]
        return x + (partner - x) * (rows * columns)


def partners(u: Tensor) -> Tensor:
    """Pair the images by ``u`` (B,): each with the next one in the order of ``u``, the last with the first.

    A permutation that leaves no image with itself if there are two or more.
    """
    order = u.detach().argsort(stable=True)
    return torch.empty_like(order).scatter_(0, order, order.roll(-1))


def symmetric_beta(u: Tensor, alpha: float) -> Tensor:
    """The quantile of Beta(``alpha``, ``alpha``) at ``u`` (B,) inside (0, 1), with a gradient.

    A table, linear in between, over the angle t with sin^2(t) = u: its knots lie densely where the quantile is steep.
    """
    table = _beta_table(alpha, u.dtype, u.device)
    place = torch.asin(u.sqrt()) * (2 / math.pi * (KNOTS - 1))
    knot = place.detach().floor().clamp(0, KNOTS - 2)
    low, high = (table[(knot + step).long()] for step in (0, 1))
    return low + (high - low) * (place - knot)


def probabilities(y: Tensor, classes: int | None, x: Tensor) -> Tensor:
    """Labels as probabilities (B, K): one-hot rows for indices, given rows as they are; else ValueError."""
    if y.dim() == 1 and not y.is_floating_point() and len(y) == len(x):
        if classes is None or classes < 1:
            raise ValueError(f"classes must be the number of classes where y holds indices, got {classes}")
        if not y.is_cuda and len(y) and not 0 <= y.min() <= y.max() < classes:  # on a GPU the host would have to wait
            raise ValueError(f"y must hold class indices from 0 to {classes - 1}, got {y.min()} to {y.max()}")
        return functional.one_hot(y.long(), classes).to(widened(x[:0]).dtype)
    if y.dim() == 2 and y.is_floating_point() and len(y) == len(x):
        if classes is not None and classes != y.shape[1]:
            raise ValueError(f"classes must be {y.shape[1]}, the columns of y, got {classes}")
        return y
    raise ValueError(
        f"y must be {len(x)} class indices or ({len(x)}, K) probabilities, got {y.dtype} of shape {tuple(y.shape)}"
    )


@lru_cache(maxsize=16)
def _beta_table(alpha: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        points = np.sin(np.linspace(0, np.pi / 2, KNOTS)) ** 2
        return torch.from_numpy(betaincinv(alpha, alpha, points)).to(device, dtype)


MIXING: dict[str, type[Mixing]] = {"mixup": MixUp, "cutmix": CutMix}
"""Name -> class; each can be called without arguments."""
