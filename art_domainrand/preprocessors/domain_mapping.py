"""Domain mapping as a preprocessing defence of ART."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from art_domainrand.core.arguments import suggesting_names
from art_domainrand.core.arrays import from_array, warn_of_layout
from art_domainrand.core.checks import Text, require
from art_domainrand.core.pixels import ClipRange
from art_domainrand.preprocessors.base import Clip, PipelinePreprocessor
from art_domainrand.randomization.core.distributions import Range
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.domains import domain_pipeline
from art_domainrand.randomization.domains.mapping import DomainLike


class DomainMapping(PipelinePreprocessor):
    """Show the model every image in another domain, such as "night" or that of reference images.

    :param domain: a name from ``DOMAINS``, the name of a reference method ("histogram", "reinhard", "fourier",
        "moments"), a domain object (such as ``Histogram().fit(images)``), or a list of these, from which one is drawn
        for each image; see :func:`art_domainrand.randomization.domain_mapping`.
    :param severity: from 1 to 5, which is the full map; a pair or a distribution draws one for each image.
    :param references: images for a reference method, in the range and layout of the images to be mapped. They are
        measured once, here.
    :param channels: the channels that are the picture, such as (0, 1, 2) of RGB + depth; None takes all.
    :param clip_values: the smallest and the largest pixel value; numbers or arrays that broadcast to one image.
    :param channels_first: whether images are (C, H, W) rather than (H, W, C).
    :param apply_fit: map what the model is trained on. Turn it off to measure a model in a domain that it has not seen.
    :param apply_predict: map what the model predicts on. On by default, as ``apply_fit`` is: a model is trained and
        used in one domain.
    :param seed: an int >= 0 makes every run see the same images; None takes fresh entropy.
    :param clip: how the result is clipped to ``clip_values``: "straight_through", "hard" or None, as for
        :class:`DomainRandomization`.
    :param chunk_size: how many images are mapped at a time where no gradient is asked for; it changes no result.
    :param device_type: where NumPy arrays are processed, "gpu" (if there is one) or "cpu"; tensors stay where they are.

    What :class:`DomainRandomization` says about images, labels, errors, and ``estimate_forward`` and ``replay``, which
    map with the draw of a forward pass again, holds here too.
    """

    params = [  # noqa: RUF012 - declared so by ART
        "domain",
        "severity",
        "references",
        "channels",
        "clip_values",
        "channels_first",
        "apply_fit",
        "apply_predict",
        "seed",
        "clip",
        "chunk_size",
        "device_type",
    ]

    pipeline: Pipeline

    @suggesting_names
    def __init__(
        self,
        domain: DomainLike,
        severity: Range = 3,
        references: Tensor | NDArray[Any] | None = None,
        *,
        channels: Iterable[int] | None = None,
        clip_values: tuple[Any, Any] = (0, 1),
        channels_first: bool = True,
        apply_fit: bool = True,
        apply_predict: bool = True,
        seed: int | None = None,
        clip: Clip = "straight_through",
        chunk_size: int = 256,
        device_type: str = "gpu",
    ) -> None:
        kept = None if channels is None else tuple(channels)
        examples = None if references is None else _to_unit(references, clip_values, channels_first)
        super().__init__(
            domain_pipeline(domain, severity, examples, kept),
            clip_values=clip_values,
            channels_first=channels_first,
            apply_fit=apply_fit,
            apply_predict=apply_predict,
            seed=seed,
            clip=clip,
            chunk_size=chunk_size,
            device_type=device_type,
        )
        self.domain = domain
        self.severity = severity
        self.references = references
        self.channels = kept

    def _shown(self, name: str) -> str:
        if name == "references" and self.references is not None:
            return f"<{type(self.references).__name__} of shape {tuple(self.references.shape)}>"
        return super()._shown(name)


def _to_unit(references: Tensor | NDArray[Any], clip_values: tuple[Any, Any], channels_first: bool) -> Tensor:
    """The references as (N, C, H, W) in [0, 1]."""
    numbers = isinstance(references, (Tensor, np.ndarray)) and references.ndim == 4 and references.dtype != object
    got = f"shape {tuple(references.shape)}" if hasattr(references, "shape") else type(references).__name__
    require(numbers, "references", "be a 4D batch of images", Text(got))
    images = references.detach() if isinstance(references, Tensor) else from_array(references)
    warn_of_layout("references", images.shape, channels_first=channels_first, stacklevel=4)
    limits = ClipRange(clip_values)
    limits.check(images)
    unit = limits.to_unit(images.double()).clamp(0, 1)
    return unit if channels_first else unit.permute(0, 3, 1, 2)
