"""Odds over domains that follow the worst of them."""

from __future__ import annotations

import torch
from torch import Tensor

from art_domainrand.core.checks import require


def group_weights(weights: Tensor, losses: Tensor, groups: Tensor, rate: float = 0.1) -> Tensor:
    """One step of exponentiated gradient on the weights of groups, which rise with their mean losses.

    Group distributionally robust optimization (Sagawa et al. 2020, algorithm 1): a model that minimizes the weighted
    loss minimizes that of the worst group. A group that no sample belongs to has the mean loss of all samples, so that
    who is absent neither gains nor loses.

    :param weights: the weights so far, (G,), >= 0 and of sum 1.
    :param losses: the loss of each sample, (n,); no gradient is kept.
    :param groups: to which group each sample belongs, (n,) int64, from 0 to G - 1.
    :param rate: the step eta, > 0.
    :return: the new weights, (G,), of sum 1.
    :raises ValueError: for shapes that do not fit, and a rate that is not positive.
    """
    require(rate > 0, "rate", "be > 0", rate)
    require(losses.shape == groups.shape, "groups", f"have the shape {tuple(losses.shape)}", tuple(groups.shape))
    losses = losses.detach().to(weights.dtype)
    if len(losses) == 0:
        return weights.detach().clone()
    sums = torch.zeros_like(weights).index_add_(0, groups, losses)
    counts = torch.zeros_like(weights).index_add_(0, groups, torch.ones_like(losses))
    means = torch.where(counts > 0, sums / counts.clamp_min(1), losses.mean())
    return torch.softmax(weights.detach().clamp_min(torch.finfo(weights.dtype).tiny).log() + rate * means, 0)
