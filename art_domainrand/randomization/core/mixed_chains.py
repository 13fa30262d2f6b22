"""Images mixed of what several random chains make of them: the mechanism of AugMix and PRIME."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from art_domainrand.core.checks import require
from art_domainrand.randomization.core.chain import nested_values, prefixed
from art_domainrand.randomization.core.choosing import same_shape
from art_domainrand.randomization.core.distributions import Distribution, Uniform
from art_domainrand.randomization.core.pipeline import Item, as_transform
from art_domainrand.randomization.core.transform import PixelTransform, Transform, Values, leaves_of, moves_pixels

SMALLEST_REST = 2.0**-24
"""Less is never left of a stick: the points of the unit cube are no closer to one, and the slope stays finite."""


@dataclass(frozen=True)
class MixedChains(PixelTransform):
    """Mix the image with what several draws of a random chain make of it: (1 - m) x + m (w_1 c_1(x) + w_2 c_2(x) ...).

    The weights w are of a Dirichlet distribution and the share m of a Beta distribution, all of whose parameters are
    one: every mixture is as likely as any other (Hendrycks et al., "AugMix", ICLR 2020, algorithm 1; Modas et al.,
    "PRIME", ECCV 2022). There a chain is ``RandomDepth(OneOf(operations), (1, 3))``. Share and weights are smooth
    functions of their coordinates of the unit cube, by breaking a stick: an attack on the domain climbs in them, as
    AugMax does (Wang et al., NeurIPS 2021).

    Where the chain moves pixels, labels other than classes cannot follow, as there is no one place to go.

    :param transform: the chain: a transform, a pipeline, a list of such, or a Kornia module; it must keep the images'
        shape. What goes beyond [0, 1] is mixed as it is: see :class:`Clipped`.
    :param width: the number of chains, >= 1.
    :raises ValueError: for a width that is no int >= 1.
    """

    transform: Transform
    width: int = 3

    def __init__(self, transform: Item, width: int = 3) -> None:
        whole = isinstance(width, int) and not isinstance(width, bool)
        require(whole and width >= 1, "width", "be an int >= 1", width)
        object.__setattr__(self, "transform", as_transform(transform))
        object.__setattr__(self, "width", width)

    @cached_property
    def transforms(self) -> tuple[Transform, ...]:
        """The chains, all alike, each with coordinates of its own."""
        return (self.transform,) * self.width

    @cached_property
    def parameters(self) -> Mapping[str, Distribution]:
        """The share of the mixture, what each chain but the last breaks off the stick, then the chains' own."""
        sticks = {f"stick_{k}": BrokenPart(self.width - 1 - k) for k in range(self.width - 1)}
        return {"share": Uniform(0.0, 1.0), **sticks, **prefixed(self.transforms)}

    @property
    def seeded(self) -> bool:  # type: ignore[override]
        """Whether the chain is."""
        return self.transform.seeded

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Whether the chain is."""
        return self.transform.differentiable

    @cached_property
    def tracked(self) -> bool:  # type: ignore[override]
        """Whether the chain moves no pixels."""
        return not any(moves_pixels(leaf) for leaf in leaves_of(self))

    def has_slope(self, name: str) -> bool:
        return True  # the mixture is linear in share and weights, whatever the chain is

    def check_channels(self, channels: int) -> None:
        self.transform.check_channels(channels)

    def arrange(self, columns: Sequence[Tensor], seeds: Tensor) -> Values:
        weights = broken_stick(columns[1 : self.width], columns[0])
        chains = nested_values(self.transforms, columns[self.width :], seeds)
        return {"share": columns[0], "weights": weights, **chains}

    def apply(self, x: Tensor, values: Values) -> Tensor:
        # The chains are alike: what each makes of B images is what one makes of all of them at once.
        own = joined_values([values[str(k)] for k in range(self.width)])
        changed = self.transform.apply(x.repeat(self.width, 1, 1, 1), own)
        share = values["share"]
        mixture = x * _each(1 - share)
        for weight, image in zip(values["weights"].unbind(1), changed.chunk(self.width), strict=True):
            mixture = mixture + same_shape(x, image) * _each(share * weight)
        return mixture


@dataclass(frozen=True)
class BrokenPart(Distribution):
    """Which part of a stick is broken off, of Beta(1, ``rest``), where ``rest`` more parts are to be evenly likely.

    :param rest: how many parts share what is left, >= 1.
    """

    rest: int

    def icdf(self, u: Tensor) -> Tensor:
        return 1 - (1 - u).clamp_min(SMALLEST_REST) ** (1 / self.rest)

    @property
    def support(self) -> tuple[float, float]:
        return (0.0, 1.0)


def broken_stick(parts: Sequence[Tensor], like: Tensor) -> Tensor:
    """The lengths (B, K) of a stick of length one from which ``parts`` K - 1 times (B,) are broken, each of the rest.

    They are of the Dirichlet distribution of ones where the k-th part is of Beta(1, K - k) (Sethuraman, "A constructive
    definition of Dirichlet priors", 1994).

    :param like: what a stick in one piece is as long as, (B,).
    """
    rest, lengths = torch.ones_like(like), []
    for part in parts:
        lengths.append(rest * part)
        rest = rest * (1 - part)
    return torch.stack([*lengths, rest], 1)


def joined_values(values: Sequence[Values]) -> Values:
    """The values of several batches, of the same names, as those of one batch."""
    found: dict[str, Any] = {}
    for name, first in values[0].items():
        members = [own[name] for own in values]
        found[name] = joined_values(members) if isinstance(first, Mapping) else torch.cat(members)
    return found


def _each(value: Tensor) -> Tensor:
    return value.view(-1, 1, 1, 1)
