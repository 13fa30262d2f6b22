"""Whether the gradient that attacks are given is the derivative of what the estimator predicts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from art.preprocessing.standardisation_mean_std import StandardisationMeanStd
from torch import Tensor

from art_domainrand.core.checks import clip_bounds
from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.core.norms import per_sample
from art_domainrand.core.random import DRAW, TRIAL, derive, integers, keys_of
from art_domainrand.estimators import Evaluated
from art_domainrand.estimators.estimates import has_own_estimate
from art_domainrand.estimators.state import torch_models
from art_domainrand.evaluation.diagnose.subject import Subject
from art_domainrand.randomization.core.sampling import keyed_draws

# Images looked at: a gradient that is not the derivative is so for nearly all of them.
POINTS = 32
# The small step, as a share of the range of pixels: below half a level of 8 bits, where rounding shows, and large
# enough for float32 to see the change it makes.
DIFFERENCE_STEP = 1e-3
# The large step, taken where the gradient is zero: rounding to four bits and more shows.
LARGE_STEP = 0.1
# Directions in which large steps are tried.
DIRECTIONS = 4
# A slope and its finite difference agree within this share of the larger: beyond it, not even the size is right.
DISAGREEMENT = 0.5
# Beyond this share the two are not equal, but may still point the same way.
ROUGHNESS = 0.1
# Rounding errors of a forward pass, in units in the last place of its largest score.
ROUNDING_UNITS = 32


def measure(subject: Subject, width: float) -> dict[str, float] | None:
    """Compare the gradient of the margin with finite differences; ``width`` is the range of pixels.

    The step follows the sign of the gradient. ``wrong`` is the share of images where the difference quotient is off by
    more than half, ``rough`` by more than a tenth, ``hidden`` of those with a zero gradient and a margin that changes;
    ``ratio`` is the median of measured over reported slopes. Draws of this library's preprocessors and of the global
    generators are held; None if values vary all the same. Images whose gradient is not finite are left out; None if
    that leaves none.
    """
    x = subject.x[:POINTS].to(subject.source.device)
    draws = held_draws(subject, len(x))

    def at(point: Tensor) -> Evaluated:
        with seeded_global_rng(subject.seed or 0), without_tf32(point.device):
            parts = [part_at(point, slice(i, i + subject.batch_size)) for i in range(0, len(x), subject.batch_size)]
        values = torch.cat([known(part.values) for part in parts])
        return Evaluated(torch.cat([p.scores for p in parts]), values, torch.cat([p.gradient for p in parts]))

    def part_at(point: Tensor, part: slice) -> Evaluated:
        rows = slice(part.start, min(part.stop, len(x)))
        labels = subject.source.labels(subject.y[rows].to(point.device))
        return subject.source.evaluate(point[rows], labels, 1, subject.objective(rows), [draw[rows] for draw in draws])

    base, again = at(x), at(x)
    values, gradient = known(base.values), base.gradient
    noise = ROUNDING_UNITS * precision(subject.estimator) * base.scores.abs().amax(1)
    sound = gradient.flatten(1).isfinite().all(1)
    if bool(((known(again.values) - values).abs() > noise).any()) or not bool(sound.any()):
        return None
    gradient = gradient.nan_to_num(0, 0, 0)
    flat = (gradient == 0).flatten(1).all(1)
    moved = inside(subject, x + DIFFERENCE_STEP * width * gradient.sign())
    reported = (gradient.double() * (moved.double() - x.double())).flatten(1).sum(1)
    measured = (known(at(moved).values) - values).double()
    larger = torch.maximum(reported.abs(), measured.abs())
    off = torch.where((larger > noise) & ~flat & sound, (reported - measured).abs() / larger, 0.0)
    keys = keys_of(subject.seed or 0, TRIAL, torch.arange(len(x)))
    hidden = torch.zeros_like(flat)
    for direction in range(DIRECTIONS if bool(flat.any()) else 0):
        signs = integers(derive(keys, direction), x.shape[1:], 2).to(x) * 2 - 1
        step = per_sample(flat.to(x), x) * LARGE_STEP * width
        hidden |= flat & sound & ((known(at(inside(subject, x + step * signs)).values) - values).abs() > noise)
    slopes = measured[~flat & sound] / reported[~flat & sound]
    numbers = {
        "wrong": share(off > DISAGREEMENT, sound),
        "rough": share(off > ROUGHNESS, sound),
        "hidden": share(hidden, sound),
        "images": float(sound.sum()),
    }
    return numbers | ({"ratio": float(slopes.nan_to_num(0).median())} if len(slopes) else {})


@contextmanager
def without_tf32(device: torch.device) -> Iterator[None]:
    """Keep a GPU from rounding factors to ten bits inside, which would drown the change of a small step."""
    if device.type != "cuda":
        yield
        return
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    try:
        torch.backends.cudnn.allow_tf32 = False
        torch.set_float32_matmul_precision("highest")
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = convolutions
        torch.set_float32_matmul_precision(products)


def held_draws(subject: Subject, n: int) -> list[Any]:
    """One draw for each preprocessor of the estimator that takes one."""
    samples = torch.arange(n, device=subject.source.device)
    views = enumerate(subject.source.random_preprocessors)
    return [keyed_draws(view.pipeline, keys_of(subject.seed or 0, DRAW, samples, k)) for k, view in views]


def inside(subject: Subject, x: Tensor) -> Tensor:
    """Pixels put back into the estimator's range."""
    low, high = clip_bounds(subject.estimator.clip_values, tuple(x.shape[1:]), x.device)
    return x if low is None or high is None else torch.clamp(x, low.to(x), high.to(x))


def precision(estimator: Any) -> float:
    """The unit in the last place of the coarsest parameters, at least float32's."""
    kinds = {p.dtype for model in torch_models(estimator) for p in model.parameters() if p.is_floating_point()}
    return max([torch.finfo(kind).eps for kind in kinds | {torch.float32}])


def estimating_defences(estimator: Any) -> list[str]:
    """The names of the defences before the model that work in NumPy, or bring an estimate of their gradient along."""
    operations = [op for op in getattr(estimator, "preprocessing_operations", None) or [] if op.apply_predict]
    kinds = [type(op) for op in operations if not isinstance(op, PreprocessorPyTorch) or has_own_estimate(op)]
    return [kind.__name__ for kind in kinds if not issubclass(kind, StandardisationMeanStd)]


def known(values: Tensor | None) -> Tensor:
    """The values of an objective, which are not None."""
    if values is None:
        raise TypeError("values must be those of an objective, got None")
    return values


def share(chosen: Tensor, of: Tensor) -> float:
    """How many of the rows ``of`` are ``chosen``."""
    return float(chosen.sum() / of.sum())
