"""A training step as a function of what it was trained on, and derivatives through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from art_domainrand.core.global_rng import global_rng_state, preserved_global_rng, restore_global_rng

Weights = dict[str, Tensor]
"""The trained weights of a model, by name."""
WeightLoss = Callable[[Weights], Tensor]
"""Weights -> a mean loss, a scalar with a gradient."""

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


def weighted_mean(losses: Tensor, log_odds: Tensor) -> Tensor:
    """The mean loss; its gradient in the odds is the score function's, with the mean loss as baseline.

    With several processes that is the mean of each one's own rows.
    """
    ratios = (log_odds - log_odds.detach()).exp()
    return (ratios * losses).sum() / ratios.sum()


def alone(part: Tensor) -> Tensor:
    """The step of a process that has the whole batch."""
    return part


def repeating(train: WeightLoss, weights: Weights) -> WeightLoss:
    """``train`` with the same random numbers at every call: what differs is then due to the weights, not to dropout.

    The global generators are left as they were.
    """
    device = next((value.device for value in weights.values()), None)
    start = global_rng_state(device)

    def again(moved: Weights) -> Tensor:
        with preserved_global_rng(device):
            restore_global_rng(start, device)
            return train(moved)

    return again


def through_step(
    train: WeightLoss,
    validate: WeightLoss,
    weights: Weights,
    parameters: Sequence[Tensor],
    lr: float,
    whole: Callable[[Tensor], Tensor] = alone,
) -> MetaGradient:
    """The exact gradient of ``validate(weights - lr * gradient of train)`` in ``parameters``.

    :param whole: what makes the gradient on this process's rows that on the whole batch.
    """
    train = repeating(train, weights)
    own = {name: value.detach().requires_grad_() for name, value in weights.items()}
    steps = torch.autograd.grad(train(own), list(own.values()), create_graph=True, materialize_grads=True)
    loss, uphill = after_step(validate, own, steps, lr, whole)
    moved = [step for step in steps if step.requires_grad]
    against = [-lr * part for step, part in zip(steps, uphill, strict=True) if step.requires_grad]
    found = torch.autograd.grad(moved, list(parameters), against, materialize_grads=True)
    return MetaGradient(found, loss)


def by_differences(
    train: WeightLoss,
    validate: WeightLoss,
    weights: Weights,
    parameters: Sequence[Tensor],
    lr: float,
    whole: Callable[[Tensor], Tensor] = alone,
) -> MetaGradient:
    """The same, to second order in the length of a finite difference, from first derivatives alone."""
    train = repeating(train, weights)
    own = {name: value.detach().requires_grad_() for name, value in weights.items()}
    steps = torch.autograd.grad(train(own), list(own.values()), materialize_grads=True)
    loss, uphill = after_step(validate, own, steps, lr, whole)
    length = torch.stack([part.square().sum() for part in uphill]).sum().sqrt()
    share = WEIGHTS_MOVE / length.clamp_min(torch.finfo(length.dtype).tiny)
    ends = []
    for sign in (1.0, -1.0):
        moved = {
            name: value.detach() + sign * share * part for (name, value), part in zip(own.items(), uphill, strict=True)
        }
        ends.append(torch.autograd.grad(train(moved), list(parameters), materialize_grads=True))
    found = tuple((-lr * (above - below) / (2 * share).to(above.device)) for above, below in zip(*ends, strict=True))
    return MetaGradient(found, loss)


def after_step(
    validate: WeightLoss, own: Weights, steps: Sequence[Tensor], lr: float, whole: Callable[[Tensor], Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The validation loss after a step, and its gradient in the weights there."""
    stepped = {
        name: (value.detach() - lr * whole(step.detach())).requires_grad_()
        for (name, value), step in zip(own.items(), steps, strict=True)
    }
    loss = validate(stepped)
    return loss.detach(), torch.autograd.grad(loss, list(stepped.values()), materialize_grads=True)


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
