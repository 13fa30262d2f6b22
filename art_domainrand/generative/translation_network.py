"""The network that turns images of one set into images of another, and the noise that it is given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from art_domainrand.core.random import DRAW, keys_of, normal
from art_domainrand.generative.networks import PatchDiscriminator, ResidualGenerator, seeded_network


@dataclass(frozen=True)
class TranslationShape:
    """What a translating network is, but for its weights.

    :param channels: of the images.
    :param noise: channels of noise that it is given beside them.
    :param width: channels on its grid.
    :param blocks: residual blocks.
    :param cell: pixels a side of a cell of its grid.
    """

    channels: int
    noise: int
    width: int
    blocks: int
    cell: int


class TranslationNetwork(nn.Module):
    """From images in [0, 1] and noise to images in (0, 1).

    :param shape: what it is.
    """

    def __init__(self, shape: TranslationShape) -> None:
        super().__init__()
        self.shape = shape
        inputs = shape.channels + shape.noise
        self.generator = ResidualGenerator(
            inputs, shape.channels, width=shape.width, blocks=shape.blocks, cell=shape.cell
        )

    def seen(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """What the generator is shown: images in [-1, 1], and noise (B, shape.noise, H, W), None for none."""
        if not self.shape.noise:
            return x * 2 - 1
        noise = x.new_zeros(len(x), self.shape.noise, *x.shape[2:]) if noise is None else noise
        return torch.cat((x * 2 - 1, noise), dim=1)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to images of the other set."""
        return torch.sigmoid(2 * self.generator(self.seen(x, noise)))

    def features(self, x: Tensor) -> list[Tensor]:
        """What the generator sees in images, layer by layer, without noise."""
        return self.generator.encode(self.seen(x))[1:]


def seeded_translator(shape: TranslationShape, seed: int, number: int, device: torch.device) -> TranslationNetwork:
    """A network with the first weights of a seed and a number."""
    return seeded_network(lambda: TranslationNetwork(shape), seed, number).to(device)


def seeded_judge(shape: TranslationShape, seed: int, number: int, device: torch.device) -> PatchDiscriminator:
    """A discriminator of its images, likewise."""
    make = PatchDiscriminator
    return seeded_network(lambda: make(shape.channels, shape.width // 2, shape.cell), seed, number).to(device)


def noise_of(shape: TranslationShape, seed: int, x: Tensor, step: int, side: int) -> Tensor | None:
    """The noise of a step of training beside images ``x``; None where the network takes none."""
    if not shape.noise:
        return None
    keys = keys_of(seed, DRAW, torch.arange(len(x), device=x.device), step, side)
    return normal(keys, (shape.noise, *x.shape[2:]))
