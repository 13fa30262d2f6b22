"""How ranges move in training, as settings: names stand for their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from art_domainrand.core.checks import Text, check_counts, require
from art_domainrand.randomization.learned.names import META_METHODS, RANGE_FAMILIES, check_kept


@dataclass(frozen=True)
class AutomaticSettings:
    """Automatic domain randomization (OpenAI et al. 2019); the same as ``automatic_ranges=True``."""


@dataclass(frozen=True)
class AdversarialRanges:
    """Ranges and odds that climb the training loss, with an entropy term so that they do not collapse.

    After each step of the model the ranges take one of Adam up ``loss + entropy * (entropy of the ranges)``, at the
    cost of another forward and backward pass over the batch.

    :param family: "beta" or "box", see :class:`~art_domainrand.randomization.LearnableRanges`.
    :param entropy: how much a nat of entropy is worth in nats of the loss, >= 0.
    :param rate: Adam's step in the logarithm of the shapes, or in shares of a range, > 0.
    :param every: batches from one step to the next.
    :param kept: the share of the images, in [0, 1), that are drawn from the randomization's own ranges and odds
        whatever is learned, so that the model does not forget them.
    :raises ValueError: naming the argument, the rule and the value.
    """

    family: str = "beta"
    entropy: float = 0.05
    rate: float = 0.02
    every: int = 2
    kept: float = 0.0

    def __post_init__(self) -> None:
        check_steps(self)


@dataclass(frozen=True)
class MetaRanges:
    """Ranges and odds that go down the loss on a validation domain, through the model's next step.

    :param validation_domain: images (N, ...) in the units of ``clip_values`` and class indices (N,) or one-hot labels
        (N, K) of the domain that the model is to do well on; by default ``fit``'s validation data. A RuntimeWarning
        says if it is too small: more than half of the squared length of its loss's gradient is sampling noise.
    :param family: as for :class:`AdversarialRanges`.
    :param entropy: how much a nat of entropy is worth in nats of what a step gains on the validation loss, >= 0.
    :param rate: as for :class:`AdversarialRanges`.
    :param every: batches from one step to the next.
    :param method: "differences" (three more forward and backward passes over the batch, two over the validation batch)
        or "exact", which differentiates the model twice.
    :param batch_size: validation images a step.
    :param kept: as for :class:`AdversarialRanges`; raise it where clean accuracy falls.
    :raises ValueError: naming the argument, the rule and the value.
    """

    validation_domain: Any = field(default=None, repr=False, compare=False)
    family: str = "beta"
    entropy: float = 0.0
    rate: float = 0.05
    every: int = 2
    method: str = "differences"
    batch_size: int = 128
    kept: float = 0.0

    def __post_init__(self) -> None:
        check_steps(self)
        require(self.method in META_METHODS, "method", f"be one of {list(META_METHODS)}", self.method)
        check_counts(batch_size=self.batch_size)
        require(self.batch_size >= 8, "batch_size", "be >= 8", self.batch_size)
        given = self.validation_domain
        if given is None:
            return
        pair = isinstance(given, (tuple, list)) and len(given) == 2
        got = f"{len(given[0])} images and {len(given[1])} labels" if pair else type(given).__name__
        fits = pair and len(given[0]) == len(given[1])
        require(fits, "validation_domain", "be None or a pair of images and as many labels", Text(got))
        require(len(given[0]) >= 8, "validation_domain", "hold at least 8 images", len(given[0]))


@dataclass(frozen=True)
class DoraemonRanges:
    """Beta distributions of maximal entropy under a success bound (DORAEMON, Tiboni et al. 2024).

    It costs no passes of the model; a small problem is solved on the CPU after every ``buffer`` images.

    :param success: the share of images that must be classified correctly, as they are trained on, in (0, 1).
    :param step: the largest divergence of a step, in nats over all ranges, > 0.
    :param buffer: images seen before the ranges move, >= 32.
    :param first_width: of every range, at the start, in (0, 1).
    :raises ValueError: naming the argument, the rule and the value.
    """

    success: float = 0.8
    step: float = 0.5
    buffer: int = 512
    first_width: float = 0.2

    def __post_init__(self) -> None:
        for name in ("success", "first_width"):
            require(0 < getattr(self, name) < 1, name, "be in (0, 1)", getattr(self, name))
        require(self.step > 0, "step", "be > 0", self.step)
        check_counts(buffer=self.buffer)
        require(self.buffer >= 32, "buffer", "be >= 32", self.buffer)


@dataclass(frozen=True)
class GroupRanges:
    """Odds of every :class:`OneOf` that follow its worst member (group DRO, Sagawa et al. 2020); at no cost.

    :param rate: the step of the exponentiated gradient, > 0.
    :raises ValueError: naming the argument, the rule and the value.
    """

    rate: float = 0.05

    def __post_init__(self) -> None:
        require(self.rate > 0, "rate", "be > 0", self.rate)


RangeSettings: TypeAlias = AutomaticSettings | AdversarialRanges | MetaRanges | DoraemonRanges | GroupRanges
"""What moves the ranges."""


def check_steps(settings: AdversarialRanges | MetaRanges) -> None:
    """Check what both kinds that follow a gradient have."""
    require(settings.family in RANGE_FAMILIES, "family", f"be one of {list(RANGE_FAMILIES)}", settings.family)
    require(settings.entropy >= 0, "entropy", "be >= 0", settings.entropy)
    require(settings.rate > 0, "rate", "be > 0", settings.rate)
    check_kept(settings.kept)
    check_counts(every=settings.every)
    require(settings.every >= 1, "every", "be >= 1", settings.every)


RANGE_KINDS: dict[str, RangeSettings] = {
    "automatic": AutomaticSettings(),
    "adversarial": AdversarialRanges(),
    "doraemon": DoraemonRanges(),
    "meta": MetaRanges(),
    "groups": GroupRanges(),
}
"""What ``ranges`` can be by name."""
