"""The small networks of generative training, scaled to the size of the images; none mixes the images of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from art_domainrand.core.global_rng import seeded_global_rng
from art_domainrand.core.random import GLOBAL, seed_of

Network = TypeVar("Network", bound=nn.Module)

CELLS_FROM = {8: 2, 24: 4}
"""Images of at least so many pixels a side -> how many pixels a side make a cell of the grid that is worked on."""


class ResidualGenerator(nn.Module):
    """From images to images of the same size: cells of pixels become channels, residual blocks, and back.

    The residual generator of Johnson et al. (ECCV 2016) with instance normalization. In place of strided convolutions
    all pixels of a cell are channels of one coarse grid, and become pixels again at the end (Shi et al., CVPR 2016),
    so that no convolution runs on the fine grid: many times as fast on small images.

    :param inputs: Channels that come in.
    :param outputs: Channels that go out.
    :param width: Channels on the coarse grid.
    :param blocks: Residual blocks.
    :param cell: Pixels a side of a cell.
    :param classes: How many classes there are to be told; 0 for none. A class scales and shifts the features after
        each normalization (conditional instance normalization, Dumoulin et al. 2017), which would wipe out a plane.
    """

    def __init__(self, inputs: int, outputs: int, *, width: int, blocks: int, cell: int, classes: int = 0) -> None:
        super().__init__()
        self.cell = cell
        self.told = nn.ModuleList(nn.Linear(classes, 2 * width) for _ in range(blocks + 1) if classes)
        self.head = step(inputs * cell**2, width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.tail = nn.Conv2d(width, outputs * cell**2, 3, padding=1)

    def encode(self, x: Tensor, targets: Tensor | None = None) -> list[Tensor]:
        """Images (B, C, H, W) as cells, and their features after the first convolution and after each block."""
        bottom, right = (-size % self.cell for size in x.shape[2:])
        if bottom or right:
            x = functional.pad(x, (0, right, 0, bottom), mode="replicate")
        found = [functional.pixel_unshuffle(x, self.cell)]
        for number, part in enumerate((self.head, *self.blocks)):
            features = part(found[-1])
            if targets is not None:
                gain, shift = self.told[number](targets.to(x))[:, :, None, None].chunk(2, 1)
                features = features * (1 + gain) + shift
            found.append(features)
        return found

    def forward(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W) to as many (B, outputs, H, W), without bounds; ``targets`` (B, K) one-hot."""
        found = functional.pixel_shuffle(self.tail(self.encode(x, targets)[-1]), self.cell)
        return found[:, :, : x.shape[2], : x.shape[3]]


class ResidualBlock(nn.Module):
    """x + convolution(relu(convolution(x))), both normalized.

    :param width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(step(width, width), nn.Conv2d(width, width, 3, padding=1), norm(width))

    def forward(self, x: Tensor) -> Tensor:
        """Features to features of the same shape."""
        changed: Tensor = x + self.change(x)
        return changed


class PatchDiscriminator(nn.Sequential):
    """Which patches of images are real: a score for each place of a coarse grid (Isola et al. 2017).

    :param channels: Channels of the images.
    :param width: Channels after the first convolution; each further one doubles them.
    :param cell: As that of the generator: where a cell has four pixels a side, a patch has 31, else 15.
    """

    def __init__(self, channels: int, width: int, cell: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, 2, 1), nn.LeakyReLU(0.2)]
        for _ in range(1 if cell < 4 else 2):
            layers += [nn.Conv2d(width, 2 * width, 3, 2, 1), norm(2 * width), nn.LeakyReLU(0.2)]
            width *= 2
        super().__init__(*layers, nn.Conv2d(width, 1, 3, padding=1))


def step(few: int, many: int) -> nn.Sequential:
    """A convolution that is normalized and rectified."""
    return nn.Sequential(nn.Conv2d(few, many, 3, padding=1), norm(many), nn.ReLU())


def norm(width: int) -> nn.Module:
    """Normalization of each channel of each image by itself, which a batch of another size does not change."""
    return nn.GroupNorm(width, width)


def cell_for(height: int, width: int) -> int:
    """How many pixels a side make a cell for images of this size."""
    return max((cell for least, cell in CELLS_FROM.items() if min(height, width) >= least), default=1)


def seeded_network(make: Callable[[], Network], seed: int, *path: int) -> Network:
    """A network whose first weights hang on the seed and a path of numbers; global generators are left as found."""
    with seeded_global_rng(seed_of(seed, GLOBAL, *path), torch.device("cpu")):
        return make()


def adam(network: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """Adam with the momentum of adversarial training (Radford et al. 2016)."""
    return torch.optim.Adam(network.parameters(), learning_rate, betas=(0.5, 0.999))


def take_step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the loss."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def frozen_weights(network: Any) -> Any:
    """The network, ready for use: in evaluation mode, its weights without gradients."""
    return network.eval().requires_grad_(False)
