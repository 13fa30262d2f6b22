"""The kinds of conditions. Each only says what is done; :mod:`art_domainrand.evaluation.running.perform` does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from art_domainrand.core.checks import Text, require
from art_domainrand.evaluation.conditions.catalogue import PIPELINES, RecordedName, check_searched
from art_domainrand.evaluation.conditions.condition import Condition as Condition
from art_domainrand.evaluation.conditions.names import BALLS, COMPOSITE_ORDERS, attack_name, eps_text, norm_name
from art_domainrand.evaluation.conditions.values import (
    check_count,
    check_named,
    check_severity,
    checked_eps,
)
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.domains.domain import Domain


@dataclass(frozen=True)
class Clean(Condition):
    """The images as they are."""

    @property
    def name(self) -> str:
        return "clean"


@dataclass(frozen=True)
class Attacked(Condition):
    """Adversarial images within a ball.

    :param attack: a name of the table of attacks (:data:`art_domainrand.evaluation.running.attacks.ATTACKS`), or a
        callable that makes an ART attack: ``attack(estimator, norm=..., eps=..., **options)``.
    :param eps: the radius in units of pixels, >= 0; in L0 how many elements may differ, a whole number. An element is
        one channel of one pixel.
    :param norm: "linf", "l2", "l1" or, for the closest examples of "minimum" and for callables, "l0"; "inf", 2, 1, 0
        and ``np.inf`` are taken too.
    :param options: other arguments of the attack, plain values by name.
    """

    attack: str | Callable[..., Any]
    eps: float
    norm: str = "linf"
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)  # a mapping has no hash

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm", norm_name(self.norm))
        object.__setattr__(self, "eps", checked_eps(self.eps))
        require(self.norm != "l0" or self.eps == int(self.eps), "eps", "be a whole number in L0", self.eps)
        check_searched(self.attack, self.norm)

    @property
    def name(self) -> str:
        return f"{attack_name(self.attack)} {self.norm} {eps_text(self.eps)}"


@dataclass(frozen=True)
class Corrupted(Condition):
    """A common corruption.

    :param corruption: one of ``art_domainrand.randomization.CORRUPTIONS``.
    :param severity: from 1 to 5.
    """

    corruption: str
    severity: int = 3

    def __post_init__(self) -> None:
        check_severity(self.severity)

    @property
    def name(self) -> str:
        return f"{self.corruption} {self.severity}"


@dataclass(frozen=True)
class InDomain(Condition):
    """Images mapped into another domain.

    :param domain: one of ``art_domainrand.randomization.DOMAINS``, or of ``UNFORESEEN_DOMAINS`` beside them, such as
        "ua_wood"; "recolor" needs RGB. Or a domain, such as a fitted :class:`~art_domainrand.DomainGenerator`.
    :param severity: from 1 to 5, the full map, in place of the domain's own.
    """

    domain: Domain | str
    severity: int = 3

    def __post_init__(self) -> None:
        check_severity(self.severity)
        known, rule = isinstance(self.domain, (Domain, str)), "be the name of a domain or a Domain"
        require(known, "domain", rule, Text(type(self.domain).__name__), TypeError)
        fitted = getattr(self.domain, "is_fitted", True)
        require(fitted, "domain", "be fitted first, by its method fit", Text(f"a {self.called} that is not"))

    @property
    def called(self) -> str:
        """The name of the domain, or of its class."""
        return self.domain if isinstance(self.domain, str) else type(self.domain).__name__

    @property
    def name(self) -> str:
        return f"domain {self.called} {self.severity}"


@dataclass(frozen=True)
class Randomized(Condition):
    """Images that a pipeline has changed at random; each draw is judged on its own.

    :param pipeline: the pipeline, or the name of a preset.
    :param draws: how many draws of each image, >= 1.
    """

    pipeline: Pipeline | str
    draws: int = 1

    def __post_init__(self) -> None:
        check_pipeline(self.pipeline)
        check_count("draws", self.draws)

    @property
    def name(self) -> str:
        return f"randomized {pipeline_name(self.pipeline)}" + (f" x{self.draws}" if self.draws > 1 else "")


@dataclass(frozen=True)
class DomainAttacked(Condition):
    """The worst draw of a pipeline that a search finds.

    :param pipeline: the pipeline, or the name of a preset.
    :param evaluations: model evaluations per image.
    """

    pipeline: Pipeline | str
    evaluations: int = 100

    def __post_init__(self) -> None:
        check_pipeline(self.pipeline)
        check_count("evaluations", self.evaluations)

    @property
    def name(self) -> str:
        return f"worst {pipeline_name(self.pipeline)}"


@dataclass(frozen=True)
class Composite(Condition):
    """The worst domain and the worst pixels together.

    :param pipeline: the pipeline, or the name of a preset.
    :param eps: the radius in units of pixels.
    :param norm: "linf", "l2" or "l1".
    :param order: "joint", "domain_first" or "pixels_first", as in :class:`~art_domainrand.CompositeAttack`.
    :param evaluations: model evaluations per image that find the domain.
    :param max_iter: steps in the pixels.
    """

    pipeline: Pipeline | str
    eps: float
    norm: str = "linf"
    order: str = "joint"
    evaluations: int = 100
    max_iter: int = 40

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm", norm_name(self.norm))
        object.__setattr__(self, "eps", checked_eps(self.eps))
        check_pipeline(self.pipeline)
        check_named("norm", self.norm, BALLS)
        check_named("order", self.order, COMPOSITE_ORDERS)
        check_count("evaluations", self.evaluations)
        check_count("max_iter", self.max_iter)

    @property
    def name(self) -> str:
        return f"worst {pipeline_name(self.pipeline)} + pixels {self.norm} {eps_text(self.eps)}"


@dataclass(frozen=True)
class Then(Condition):
    """One condition and then another on its images: an attack inside a domain, say.

    :param first: what is done first.
    :param second: what is done to the images of the first; distances are measured from these.
    """

    first: Condition
    second: Condition

    @property
    def name(self) -> str:
        return f"{self.first.name} > {self.second.name}"


@dataclass(frozen=True)
class Union(Condition):
    """An adversary that may choose among several conditions for each sample: right is who is right in every one.

    They are performed in turn, each on the samples that none before it has broken, so the cheap ones belong first. Of a
    sample the image is the first that broke it, or else that of least margin. The accuracy is that of
    :func:`art_domainrand.evaluation.union` over the same conditions, at less cost.

    :param conditions: at least one.
    """

    conditions: tuple[Condition, ...]

    def __post_init__(self) -> None:
        several = isinstance(self.conditions, (list, tuple))
        require(several, "conditions", "be a tuple of conditions", Text(type(self.conditions).__name__), TypeError)
        object.__setattr__(self, "conditions", tuple(self.conditions))
        require(len(self.conditions) > 0, "conditions", "hold a condition", Text("none"))
        for place, one in enumerate(self.conditions):
            known = isinstance(one, Condition)
            require(known, f"conditions[{place}]", "be a condition", Text(type(one).__name__), TypeError)

    @property
    def name(self) -> str:
        return f"union of {' | '.join(one.name for one in self.conditions)}"


@dataclass(frozen=True)
class Custom(Condition):
    """A function of the user's: from an estimator, images and class indices to the images that are judged.

    :param function: ``function(estimator, x, y) -> images``; it has no document, so no YAML names it.
    :param title: what it is called, by default the function's own name.
    """

    function: Callable[[Any, Any, Any], Any]
    title: str = ""

    @property
    def name(self) -> str:
        return self.title or getattr(self.function, "__name__", type(self.function).__name__)


CONDITIONS: dict[str, type[Condition]] = {
    "clean": Clean,
    "attacked": Attacked,
    "corrupted": Corrupted,
    "in_domain": InDomain,
    "randomized": Randomized,
    "domain_attacked": DomainAttacked,
    "composite": Composite,
    "then": Then,
    "union": Union,
}
"""The kinds that documents can name."""


def parts_of_condition(condition: Condition) -> tuple[Condition, ...]:
    """The conditions that a condition is made of; none for one that is made of no others."""
    if isinstance(condition, Then):
        return condition.first, condition.second
    return condition.conditions if isinstance(condition, Union) else ()


def eps_of(condition: Condition) -> float | None:
    """The radius that a curve runs along; None for what has none."""
    if isinstance(condition, Then):
        return eps_of(condition.second)
    return condition.eps if isinstance(condition, Attacked) else None


def with_eps(condition: Condition, eps: float) -> Condition:
    """The same condition at another radius."""
    if isinstance(condition, Then):
        return replace(condition, second=with_eps(condition.second, eps))
    assert isinstance(condition, Attacked)
    return replace(condition, eps=eps)


def pipeline_name(pipeline: Pipeline | str) -> str:
    """What a pipeline is called: the name of a preset, or the names of its transforms."""
    if isinstance(pipeline, str):
        return pipeline
    return ", ".join(type(transform).__name__ for transform in pipeline.transforms)


def check_pipeline(pipeline: Any) -> None:
    """Refuse what is neither a pipeline nor the name of a preset.

    :param pipeline: a pipeline or a name.
    :raises ValueError: with the nearest name.
    :raises TypeError: for anything else.
    """
    if isinstance(pipeline, (Pipeline, RecordedName)):
        return
    rule = "be a Pipeline or the name of a preset"
    require(isinstance(pipeline, str), "pipeline", rule, Text(type(pipeline).__name__), TypeError)
    check_named("pipeline", pipeline, list(PIPELINES))
