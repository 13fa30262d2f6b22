"""How the ranges that a model is trained on move its loss on another domain: a gradient through one training step."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.func import functional_call

from art_domainrand.core.checks import require
from art_domainrand.core.global_rng import preserved_global_rng
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.learned.names import META_METHODS
from art_domainrand.randomization.learned.ranges import LearnableRanges
from art_domainrand.randomization.learned.unrolled import (
    MetaGradient,
    Weights,
    by_differences,
    through_step,
    weighted_mean,
)


def meta_gradient(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    ranges: LearnableRanges,
    train_batch: tuple[Tensor, Tensor],
    validation_batch: tuple[Tensor, Tensor],
    lr: float,
    *,
    draw: Draw,
    method: str = "exact",
) -> MetaGradient:
    """The gradient of the validation loss in the ranges, through one step of gradient descent on the training loss.

    "exact" differentiates the step; "differences" takes the mixed derivative from two training losses at weights moved
    along the validation gradient (DARTS, Liu et al. 2019, equations 7 and 8), which needs no second derivatives of the
    model and no more memory than training. The model, its buffers and the global generators are left as they are.

    :param model: images -> scores (B, K).
    :param loss: scores and labels -> the loss of each sample, (B,).
    :param ranges: the ranges.
    :param train_batch: images (B, C, H, W) in [0, 1] and labels, which are randomized by ``ranges``.
    :param validation_batch: images and labels of the validation domain, as they are.
    :param lr: the rate of the training step, > 0.
    :param draw: an even draw for the training images, such as ``ranges.pipeline.sample(B)``.
    :param method: "exact" or "differences".
    :raises ValueError: for another method, and a rate that is not positive.
    """
    require(method in META_METHODS, "method", f"be one of {list(META_METHODS)}", method)
    require(lr > 0, "lr", "be > 0", lr)
    weights: Weights = {name: value for name, value in model.named_parameters() if value.requires_grad}

    def scores(moved: Weights, x: Tensor) -> Tensor:
        buffers = {name: value.detach().clone() for name, value in model.named_buffers()}
        with preserved_global_rng(x.device):  # dropout drops the same at all weights, or differences were of its draws
            found: Tensor = functional_call(model, (moved, buffers), (x,))
        return found

    x, y = train_batch

    def train(moved: Weights) -> Tensor:
        return weighted_mean(loss(scores(moved, ranges(x, draw)), y), ranges.log_odds(draw))

    def validate(moved: Weights) -> Tensor:
        return loss(scores(moved, validation_batch[0]), validation_batch[1]).mean()

    find = through_step if method == "exact" else by_differences
    return find(train, validate, weights, list(ranges.parameters()), lr)
