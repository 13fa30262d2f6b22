"""Policies that apply one operation, or a few in turn: TrivialAugment and RandAugment."""

from __future__ import annotations

from art_domainrand.core.checks import require
from art_domainrand.randomization.core.clipped import Clipped
from art_domainrand.randomization.core.composites import OneOf
from art_domainrand.randomization.core.distributions import Choice, Constant, Distribution, Uniform
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.policies.operations import (
    either_way,
    pixel_shifts,
    steps,
    translations,
    wide_operations,
)


def trivial_augment(bins: int | None = 31, mode: str = "nearest") -> Pipeline:
    """TrivialAugment with its wide space (Müller and Hutter, ICCV 2021): one of 14 operations at any strength.

    As torchvision's ``TrivialAugmentWide`` has it. Needs RGB.

    :param bins: the number of strengths, evenly spaced, >= 2; None takes all between the ends, which have slopes that
        an attack on the domain can climb.
    :param mode: how pixels are read: "nearest" as in the paper, or "bilinear".
    :raises ValueError: for fewer bins, and an unknown mode.
    """
    require(bins is None or _is_int(bins, 2), "bins", "be None or an int >= 2", bins)

    def signed(most: float) -> Distribution:
        return Uniform(-most, most) if bins is None else either_way(steps(0.0, most, bins))

    bits: Distribution = Uniform(2.0, 8.0)
    threshold: Distribution = Uniform(0.0, 1.0)
    if bins is not None:
        bits = Choice(tuple(8.0 - round(step) for step in steps(0.0, 6.0, bins)))
        threshold = Choice(tuple(steps(1.0, 0.0, bins)))
    shifts = pixel_shifts(Uniform(-32.0, 32.0) if bins is None else either_way(map(int, steps(0.0, 32.0, bins))), mode)
    return Pipeline(OneOf(wide_operations(signed, shifts, 0.99, 135.0, 0.99, bits, threshold, mode)))


def rand_augment(count: int = 2, magnitude: int = 9, bins: int = 31, mode: str = "nearest") -> Pipeline:
    """RandAugment (Cubuk et al., NeurIPS 2020): ``count`` operations, each one of 14, all of one strength.

    As torchvision's ``RandAugment`` has it; operation and sign are drawn for each image, and shifts are not cut to
    whole pixels. Needs RGB.

    :param count: the number of operations, one after the other, >= 1.
    :param magnitude: which of the strengths, from 0 to ``bins`` - 1.
    :param bins: the number of strengths, >= 2.
    :param mode: how pixels are read: "nearest" as in the paper, or "bilinear".
    :raises ValueError: for numbers outside these bounds, and an unknown mode.
    """
    require(_is_int(count, 1), "count", "be an int >= 1", count)
    require(_is_int(bins, 2), "bins", "be an int >= 2", bins)
    require(_is_int(magnitude, 0) and magnitude < bins, "magnitude", f"be an int from 0 to {bins - 1}", magnitude)
    share = magnitude / (bins - 1)

    def signed(most: float) -> Distribution:
        return either_way([most * share])

    bits, threshold = Constant(8.0 - round(4 * share)), Constant(1 - share)
    shifts = translations(signed(150 / 331), mode)
    operations = wide_operations(signed, shifts, 0.3, 30.0, 0.9, bits, threshold, mode)
    return Pipeline([Clipped(OneOf(operations)) for _ in range(count)])


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
