"""How the ranges that a model is trained on move its loss on another domain: a gradient through one training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from art_domainrand.core.checks import require
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.learned.ranges import LearnableRanges

Weights = dict[str, Tensor]
"""The trained weights of a model, by name."""
WeightLoss = Callable[[Weights], Tensor]
"""Weights -> a mean loss, a scalar with a gradient."""

META_METHODS = ("exact", "differences")
WEIGHTS_MOVE = 0.01
"""By how much the finite differences move the weights, in the length of all of them (Liu et al. 2019, section 2.3)."""
CHUNKS = 8
"""Into how many parts a validation batch is split to see how far their gradients agree."""


@dataclass(frozen=True)
class MetaGradient:
    """The gradient of the validation loss after one training step, in the ranges it was trained on.

    :param gradients: one for each of ``ranges.parameters()``.
    :param loss: the validation loss after the step, a scalar.
    """

    gradients: tuple[Tensor, ...]
    loss: Tensor


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
    model and no more memory than training. The model and its buffers are left as they are.

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
        found: Tensor = functional_call(model, (moved, buffers), (x,))
        return found

    x, y = train_batch

    def train(moved: Weights) -> Tensor:
        return weighted_mean(loss(scores(moved, ranges(x, draw)), y), ranges.log_odds(draw))

    def validate(moved: Weights) -> Tensor:
        return loss(scores(moved, validation_batch[0]), validation_batch[1]).mean()

    find = through_step if method == "exact" else by_differences
    return find(train, validate, weights, list(ranges.parameters()), lr)


def weighted_mean(losses: Tensor, log_odds: Tensor) -> Tensor:
    """The mean loss; its gradient in the odds is the score function's, with the mean loss as baseline."""
    ratios = (log_odds - log_odds.detach()).exp()
    return (ratios * losses).sum() / ratios.sum()


def through_step(
    train: WeightLoss, validate: WeightLoss, weights: Weights, parameters: Sequence[Tensor], lr: float
) -> MetaGradient:
    """The exact gradient of ``validate(weights - lr * gradient of train)`` in ``parameters``."""
    own = {name: value.detach().requires_grad_() for name, value in weights.items()}
    steps = torch.autograd.grad(train(own), list(own.values()), create_graph=True, materialize_grads=True)
    loss = validate({name: value - lr * step for (name, value), step in zip(own.items(), steps, strict=True)})
    found = torch.autograd.grad(loss, list(parameters), materialize_grads=True)
    return MetaGradient(found, loss.detach())


def by_differences(
    train: WeightLoss, validate: WeightLoss, weights: Weights, parameters: Sequence[Tensor], lr: float
) -> MetaGradient:
    """The same, to second order in the length of a finite difference, from first derivatives alone."""
    own = {name: value.detach().requires_grad_() for name, value in weights.items()}
    steps = torch.autograd.grad(train(own), list(own.values()), materialize_grads=True)
    stepped = {
        name: (value.detach() - lr * step).requires_grad_()
        for (name, value), step in zip(own.items(), steps, strict=True)
    }
    loss = validate(stepped)
    uphill = torch.autograd.grad(loss, list(stepped.values()), materialize_grads=True)
    length = torch.stack([part.square().sum() for part in uphill]).sum().sqrt()
    share = WEIGHTS_MOVE / length.clamp_min(torch.finfo(length.dtype).tiny)
    ends = []
    for sign in (1.0, -1.0):
        moved = {
            name: value.detach() + sign * share * part for (name, value), part in zip(own.items(), uphill, strict=True)
        }
        ends.append(torch.autograd.grad(train(moved), list(parameters), materialize_grads=True))
    found = tuple(-lr * (above - below) / (2 * share) for above, below in zip(*ends, strict=True))
    return MetaGradient(found, loss.detach())


def noise_share(losses: Callable[[Weights], Tensor], weights: Weights) -> Tensor:
    """How much of the squared length of a mean loss's gradient is sampling noise, a scalar: 0 none, 1 all of it.

    The squared standard error of the gradient, from the spread of the gradients of eight parts of the samples, over its
    squared length.

    :param losses: weights -> the loss of each sample, (n,).
    :param weights: the weights.
    """
    own = {name: value.detach().requires_grad_() for name, value in weights.items()}
    parts = losses(own).tensor_split(CHUNKS)
    rows = []
    for k, part in enumerate(parts):
        last = k + 1 == len(parts)
        pieces = torch.autograd.grad(part.mean(), list(own.values()), retain_graph=not last, materialize_grads=True)
        rows.append(torch.cat([piece.flatten() for piece in pieces]))
    gradients = torch.stack(rows)
    error = gradients.var(0).sum() / CHUNKS
    return error / gradients.mean(0).square().sum().clamp_min(torch.finfo(error.dtype).tiny)
