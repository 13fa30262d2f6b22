"""What keeps the content of an image that is made to look like those of another set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from art_domainrand.core.random import CHOICE, key_of, permutations
from art_domainrand.generative.losses import least_squares, patch_contrast
from art_domainrand.generative.networks import adam, seeded_network, take_step
from art_domainrand.generative.translation_network import (
    TranslationNetwork,
    TranslationShape,
    noise_of,
    seeded_judge,
    seeded_translator,
)

Consistency: TypeAlias = Literal["contrastive", "cycle"]
"""What keeps an image's content."""

TEMPERATURE = 0.07
"""What similarities of patches are divided by (Park et al. 2020)."""

PATCHES = 64
"""Of so many patches of an image each is to be told from the others."""

PROJECTED = 64
"""Features of a patch that are compared."""

CYCLE_WEIGHT = 10.0
"""The weight of cycle consistency (Zhu et al. 2017)."""


class ContentLoss(Protocol):
    """What a translation has lost, with networks of its own."""

    optimizers: list[torch.optim.Optimizer]

    def value(self, source: Tensor, made: Tensor, target: Tensor, step: int) -> Tensor:
        """How badly ``made`` keeps what ``source`` shows; networks that only the loss has learn from it, too."""

    def judged(self, source: Tensor, target: Tensor) -> None:
        """A step of the discriminators that only the loss has."""


class PatchConsistency:
    """Patches of the result are told from one another by what they were, in the generator's own features.

    The same is asked of target images, which the generator should leave as they are (Park et al. 2020, equation 5).
    """

    def __init__(self, network: TranslationNetwork, seed: int, learning_rate: float, device: torch.device) -> None:
        width, layers = network.shape.width, network.shape.blocks + 1
        self.network, self.seed = network, seed
        self.heads = seeded_network(
            lambda: nn.ModuleList(
                nn.Sequential(nn.Linear(width, PROJECTED), nn.ReLU(), nn.Linear(PROJECTED, PROJECTED))
                for _ in range(layers)
            ),
            seed,
            2,
        ).to(device)
        self.optimizers = [adam(self.heads, learning_rate)]

    def value(self, source: Tensor, made: Tensor, target: Tensor, step: int) -> Tensor:
        same = self.network(target)
        return (self.contrast(source, made, step) + self.contrast(target, same, step)) / 2

    def contrast(self, before: Tensor, after: Tensor, step: int) -> Tensor:
        """The mean over the layers of how badly patches are told apart."""
        losses = []
        for head, old, new in zip(self.heads, self.network.features(before), self.network.features(after), strict=True):
            cells = old.shape[2] * old.shape[3]
            key = torch.tensor([key_of(self.seed, CHOICE, step)])
            chosen = permutations(key, cells)[0, :PATCHES].to(old.device)
            key_patches, patches = (unit_patches(head, part, chosen) for part in (old, new))
            losses.append(patch_contrast(patches, key_patches.detach(), TEMPERATURE))
        return torch.stack(losses).mean()

    def judged(self, source: Tensor, target: Tensor) -> None:
        """It has no discriminator."""


def unit_patches(head: nn.Module, features: Tensor, chosen: Tensor) -> Tensor:
    """Features (B, W, h, w) at the ``chosen`` places, projected and of unit length, (B, P, D)."""
    patches = head(features.flatten(2).transpose(1, 2)[:, chosen])
    return nn.functional.normalize(patches, dim=2)


class CycleConsistency:
    """A second generator leads back to the same image, from either set; it has a discriminator of its own."""

    def __init__(self, network: TranslationNetwork, seed: int, learning_rate: float, device: torch.device) -> None:
        shape = TranslationShape(**{**vars(network.shape), "noise": 0})
        self.network, self.seed = network, seed
        self.back = seeded_translator(shape, seed, 2, device)
        self.judge = seeded_judge(shape, seed, 3, device)
        self.judging = adam(self.judge, learning_rate)
        self.optimizers = [adam(self.back, learning_rate)]

    def value(self, source: Tensor, made: Tensor, target: Tensor, step: int) -> Tensor:
        returned = self.back(target)
        noise = noise_of(self.network.shape, self.seed, target, step, 1)
        there: Tensor = (self.back(made) - source).abs().mean() + (self.network(returned, noise) - target).abs().mean()
        return there + least_squares(self.judge(returned), 1.0) / CYCLE_WEIGHT

    def judged(self, source: Tensor, target: Tensor) -> None:
        with torch.no_grad():
            returned = self.back(target)
        loss = (least_squares(self.judge(source), 1.0) + least_squares(self.judge(returned), 0.0)) / 2
        take_step(self.judging, loss)


CONSISTENCIES: dict[Consistency, tuple[Callable[..., ContentLoss], float]] = {
    "contrastive": (PatchConsistency, 1.0),
    "cycle": (CycleConsistency, CYCLE_WEIGHT),
}
"""Name -> what makes the loss, and its weight in its paper."""
