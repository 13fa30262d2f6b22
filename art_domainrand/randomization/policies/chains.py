"""AugMix and PRIME: random chains of operations, mixed."""

from __future__ import annotations

from art_domainrand.core.checks import require
from art_domainrand.randomization.core.composites import OneOf
from art_domainrand.randomization.core.distributions import Uniform
from art_domainrand.randomization.core.mixed_chains import MixedChains
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.random_depth import RandomDepth
from art_domainrand.randomization.core.transform import Transform
from art_domainrand.randomization.policies.operations import shear_x, shear_y, translations
from art_domainrand.randomization.prime.color_curve import ColorCurve
from art_domainrand.randomization.prime.diffeomorphism import Diffeomorphism
from art_domainrand.randomization.prime.random_filter import RandomFilter
from art_domainrand.randomization.transforms.geometry import Rotation
from art_domainrand.randomization.transforms.tone import AutoContrast, Equalize, Posterize, Solarize

LEAST_LEVEL = 0.1
"""The smallest strength of an operation, where ``severity`` is the largest (the authors' ``sample_level``)."""


def augmix(severity: float = 3.0, width: int = 3, depth: tuple[int, int] = (1, 3)) -> Pipeline:
    """AugMix (Hendrycks et al., ICLR 2020): the image mixed with random chains of nine operations.

    None of these is a corruption of the test suites. Strengths are even up to ``severity`` tenths of 4 bits, 30
    degrees, 256 levels, a slope of 0.3 and a third of the image's size. On 8-bit images bits and thresholds have the
    very law of the authors' code; angles and shifts are not cut to whole degrees and pixels, so that they have slopes.
    The authors' loss on top is the objective "augmix" of :class:`~art_domainrand.DomainAdversarialTrainer`.

    :param severity: the largest strength, above 0.1 and at most 8.
    :param width: the number of chains, >= 1.
    :param depth: the smallest and the largest number of operations in a chain.
    :raises ValueError: for numbers outside these bounds.
    """
    number = isinstance(severity, (int, float)) and not isinstance(severity, bool)
    require(number and LEAST_LEVEL < severity <= 8, "severity", "be a number in (0.1, 8]", severity)
    return Pipeline(MixedChains(RandomDepth(OneOf(augmix_operations(float(severity))), depth), width))


def augmix_operations(severity: float) -> list[Transform]:
    """The operations of AugMix, in the order of the authors' code.

    :param severity: the largest strength, in (0.1, 8].
    """
    slope, share = (Uniform(-most * severity / 10, most * severity / 10) for most in (0.3, 1 / 3))
    return [
        AutoContrast(1.0),
        Equalize(1.0),
        # 4 - int(0.4 level) bits, read as the nearest whole number.
        Posterize(Uniform(4.5 - 0.4 * severity, 4.5 - 0.4 * LEAST_LEVEL)),
        Rotation(Uniform(-3 * severity, 3 * severity)),
        # From 256 - int(25.6 level) on.
        Solarize(Uniform((256 - 25.6 * severity) / 255, (256 - 25.6 * LEAST_LEVEL) / 255)),
        shear_x(slope, "bilinear"),
        shear_y(slope, "bilinear"),
        *translations(share, "bilinear"),
    ]


def prime(width: int = 3, depth: tuple[int, int] = (1, 3)) -> Pipeline:
    """PRIME (Modas et al., ECCV 2022): chains of random diffeomorphisms, colour curves and filters, mixed as in AugMix.

    Each is drawn from the distribution of largest entropy under a bound on its strength. Strengths are the authors' for
    CIFAR-10: up to 100 modes and waves, a variance of 0.01 of a curve, a standard deviation of 4 of a filter. Every
    image and chain has draws of its own; in the authors' program a field and the strengths hold for a whole batch. They
    train with the loss of AugMix on top: the objective "augmix" of :class:`~art_domainrand.DomainAdversarialTrainer`.

    :param width: the number of chains, >= 1.
    :param depth: the smallest and the largest number of operations in a chain.
    :raises ValueError: for numbers outside these bounds.
    """
    return Pipeline(MixedChains(RandomDepth(OneOf([Diffeomorphism(), ColorCurve(), RandomFilter()]), depth), width))
