"""Which coordinates of a draw a gradient can climb."""

import torch
from torch import Tensor

from art_domainrand.core.random import TRIAL, derive, keys_of, normal, uniform
from art_domainrand.preprocessors.base import PipelinePreprocessor
from art_domainrand.randomization.core.coordinates import coordinates
from art_domainrand.randomization.core.distributions import Choice
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.sampling import keyed_draws

# Slopes are looked for on this many images of noise, each under a draw of its own.
PROBES = 32


def sloped(view: PipelinePreprocessor, shape: tuple[int, ...]) -> Tensor:
    """Which coordinates (P,) a gradient can climb for images of ``shape``, (P,) bool, on the CPU.

    Those of transforms that are differentiable, are no choice, and have a slope on images of noise under some of
    :data:`PROBES` draws: gates and selectors, thresholds and rounded numbers have none.
    """
    pipeline = view.pipeline
    smooth = [c.owner.differentiable and not isinstance(c.distribution, Choice) for c in coordinates(pipeline.chain)]
    may = torch.tensor(smooth, dtype=torch.bool)
    if not may.any():
        return may
    keys = keys_of(0, TRIAL, torch.arange(PROBES))
    low, high = (torch.as_tensor(bound, dtype=torch.float32) for bound in view.clip_values)
    noise = low + (high - low) * uniform(derive(keys, 0), shape)
    draw = keyed_draws(pipeline, keys[:1], PROBES, "stratified")  # every choice of a sixteenth or more is seen
    with torch.enable_grad():
        u = draw.u.requires_grad_()
        seen = view.randomize(noise, Draw(u, draw.seeds))
        if not seen.requires_grad:
            return torch.zeros_like(may)
        weights = normal(derive(keys, 2), seen.shape[1:]).to(seen.dtype)
        (slope,) = torch.autograd.grad(seen, u, weights, allow_unused=True)
    return may & (torch.zeros_like(u) if slope is None else slope).ne(0).any(0)
