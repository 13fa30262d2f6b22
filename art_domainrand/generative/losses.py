"""Losses of adversarial and contrastive training."""

from __future__ import annotations

import torch
from torch import Tensor


def least_squares(scores: Tensor, wanted: float) -> Tensor:
    """The mean squared distance of a discriminator's scores from what is wanted (Mao et al. 2017, equation 9).

    The discriminator wants 1 of real and 0 of generated images, the generator 1 of its own.
    """
    return (scores - wanted).square().mean()


def patch_contrast(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """How badly each patch is told from the other patches of its image (Park et al. 2020, equations 3 and 4).

    :param query: unit features of patches (B, P, D) of generated images.
    :param key: those at the same places of the originals.
    :param temperature: what similarities are divided by.
    :return: the mean cross-entropy.
    """
    similarity = query @ key.transpose(1, 2) / temperature
    place = torch.arange(query.shape[1], device=query.device).expand(len(query), -1)
    return torch.nn.functional.cross_entropy(similarity.flatten(0, 1), place.flatten())
