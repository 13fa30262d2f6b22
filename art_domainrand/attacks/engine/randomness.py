"""Whether an estimator's predictions vary."""

from collections.abc import Callable

import torch
from torch import Tensor

from art_domainrand.estimators import Gradients

# Two predictions of this many images tell whether an estimator is random, or of as many copies of fewer images as make
# the lesser number. A defence that flips one prediction in fifty goes unnoticed by 64 in one case of 13.
PROBES, FEWEST_PROBES = 64, 16
# Where only a class is shown, or noise comes only where the model is in doubt, images that are far from any boundary do
# not tell: so many pairs of images of different classes are brought near the boundary between them, in so many steps.
PAIRS, STEPS = 8, 7
# What a device may do differently the second time, as a share of the largest score, is not randomness.
ROUNDING = 1e-5

ScoresOf = Callable[[Tensor], Tensor]


def is_random(source: Gradients, x: Tensor, batch_size: int = PROBES) -> bool:
    """Whether two predictions of the same images (N, ...) differ; the model is shown at most ``batch_size`` at a time.

    The predictions are the estimator's own, with whatever comes before and after the model.
    """
    if source.random_preprocessors:
        return True
    few = x[:PROBES].to(source.device)
    few = few.repeat(-(-FEWEST_PROBES // len(few)), *[1] * (few.dim() - 1))

    def scores_of(images: Tensor) -> Tensor:
        return torch.cat([source.scores(part) for part in images.split(batch_size)])  # type: ignore[no-untyped-call]

    first = scores_of(few)
    if vary(first, scores_of(few)):
        return True
    between = near_boundary(scores_of, few, first)
    return len(between) > 0 and vary(scores_of(between), scores_of(between))


def vary(first: Tensor, second: Tensor) -> bool:
    """Whether two predictions (N, K) of the same images differ by more than rounding."""
    known = first[first.isfinite()]
    slack = ROUNDING * float(known.abs().max()) if len(known) else 0.0
    return not torch.allclose(first, second, rtol=0, atol=slack, equal_nan=True)


def near_boundary(scores_of: ScoresOf, x: Tensor, scores: Tensor) -> Tensor:
    """Points (M, ...) close to either side of the boundary between images (N, ...) of different classes; M may be 0.

    They lie on the lines between neighbours and are found by false position: by bisection, where scores are all or
    nothing.
    """
    label = scores.argmax(1)
    (first,) = (label[1:] != label[:-1]).nonzero(as_tuple=True)
    first = first[:PAIRS]
    one, other, rows = label[first], label[first + 1], torch.arange(len(first), device=x.device)

    def lead(of: Tensor) -> Tensor:
        return (of[rows, one] - of[rows, other]).float()

    low, high = x[first], x[first + 1]
    above, below = lead(scores[first]), lead(scores[first + 1])
    for _ in range(STEPS if len(first) else 0):
        share = (above / (above - below)).nan_to_num(0.5).clamp(0.1, 0.9)
        middle = torch.lerp(low, high, share.to(x.dtype).reshape(-1, *[1] * (x.dim() - 1)))
        found = lead(scores_of(middle))
        ahead = found > 0
        side = ahead.reshape(-1, *[1] * (x.dim() - 1))
        low, high = torch.where(side, middle, low), torch.where(side, high, middle)
        above, below = torch.where(ahead, found, above), torch.where(ahead, below, found)
    return torch.cat([low, high])
