"""Map images into a domain in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.arrays import as_images, check_unit_range
from art_domainrand.core.clamp import straight_through_clamp
from art_domainrand.core.random import DOMAIN, checked_seed, keys_of
from art_domainrand.randomization.core.composites import OneOf
from art_domainrand.randomization.core.distributions import Range
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.sampling import keyed_draws
from art_domainrand.randomization.core.transform import Transform
from art_domainrand.randomization.domains.domain import Domain
from art_domainrand.randomization.domains.named import DOMAINS
from art_domainrand.randomization.domains.references import REFERENCE_METHODS, ReferenceDomain
from art_domainrand.randomization.domains.unforeseen import UNFORESEEN_DOMAINS
from art_domainrand.randomization.transforms.channels import OnChannels, check_channels

DomainLike: TypeAlias = str | Domain | Sequence[str | Domain]
"""A name, a domain, or several of these, of which every image gets one."""


@suggesting_names
def domain_mapping(
    x: Tensor | NDArray[Any],
    domain: DomainLike,
    severity: Range = 3,
    references: Tensor | NDArray[Any] | None = None,
    seed: int | None = None,
    *,
    channels: Iterable[int] | None = None,
) -> Any:
    """Map images into a domain.

    Differentiable in ``x``: the clipping passes the gradient on, and each domain's class says where it has a kink or
    holds a statistic fixed. CUDA tensors that carry a gradient are not searched for values outside [0, 1], since the
    host would have to wait.

    :param x: images (B, C, H, W), floating, in [0, 1]; a tensor or a NumPy array.
    :param domain: a name from ``DOMAINS`` ("night", "fog", ...), what an unforeseen adversary would do, drawn at random
        ("ua_wood", ..., see :func:`~art_domainrand.randomization.imagenet_ua`), the name of a reference method
        ("histogram", "reinhard", "fourier", "moments"), a :class:`Domain` (such as ``Histogram().fit(images)``, fitted
        once), or a list of these, from which one is drawn for each image.
    :param severity: from 1 to 5; 5 is the full map, lower ones lie on the line between it and the original. A pair or a
        distribution draws one for each image.
    :param references: images (N, C, H, W) in [0, 1] whose statistics a reference method takes over.
    :param seed: an int >= 0 makes the result repeatable, as it and an image's place among ``x`` decide what is drawn;
        None takes fresh entropy. No global generator is touched.
    :param channels: the channels that are the picture, such as (0, 1, 2) of RGB + depth; the others are left alone.
        None takes all.
    :return: images of the same kind, shape, dtype and device, clipped to [0, 1].
    :raises ValueError: for an unknown name, a severity outside 1 to 5, images or references of another shape, dtype or
        range, and references that are missing or not needed.
    """
    images = as_images("x", x)
    if not (images.is_cuda and images.requires_grad):
        check_unit_range("x", images)
    pipeline = domain_pipeline(domain, severity, references, channels)
    keys = keys_of(checked_seed(seed), DOMAIN, torch.arange(len(images), device=images.device))
    changed = pipeline.apply(images, keyed_draws(pipeline, keys))
    changed = straight_through_clamp(changed, 0.0, 1.0)
    return changed.numpy() if isinstance(x, np.ndarray) else changed


def domain_pipeline(
    domain: DomainLike,
    severity: Range = 3,
    references: Tensor | NDArray[Any] | None = None,
    channels: Iterable[int] | None = None,
) -> Pipeline:
    """The pipeline behind :func:`domain_mapping`, to be drawn and applied like any other.

    :param domain: as in :func:`domain_mapping`.
    :param severity: from 1 to 5.
    :param references: images (N, C, H, W) in [0, 1] whose statistics a reference method takes over.
    :param channels: the channels that are the picture; None takes all.
    :raises ValueError: as :func:`domain_mapping` does, the images aside.
    """
    several = isinstance(domain, Sequence) and not isinstance(domain, str)
    named: list[Any] = list(domain) if several else [domain]  # type: ignore[arg-type]
    if not named:
        raise ValueError("domain must not be an empty list")
    kept = None if channels is None else check_channels(channels)
    found = [_find(one).at(severity) for one in named]
    unfitted = [one for one in found if isinstance(one, ReferenceDomain) and not one.is_fitted]
    if references is None and unfitted:
        raise ValueError(f"references must be given for the domain {type(unfitted[0]).__name__}, got None")
    if references is not None:
        if not unfitted:
            raise ValueError(f"references must be None, as no domain is to be fitted to them, got domain={domain!r}")
        examples = as_images("references", references)
        if kept is not None:
            if max(kept) >= examples.shape[1]:
                raise ValueError(f"channels must be below the {examples.shape[1]} of references, got {kept}")
            examples = examples[:, list(kept)]
        for one in unfitted:
            one.fit(examples)
    transform: Transform = found[0] if len(found) == 1 else OneOf(found)
    return Pipeline(transform if kept is None else OnChannels(transform, kept))


def _find(domain: Any) -> Domain:
    if isinstance(domain, Domain):
        return domain
    table: dict[str, Callable[[], Domain]] = {**DOMAINS, **UNFORESEEN_DOMAINS, **REFERENCE_METHODS}
    if not isinstance(domain, str) or domain not in table:
        raise ValueError(f"domain must be a Domain or one of {list(table)}, got {domain!r}")
    return table[domain]()
