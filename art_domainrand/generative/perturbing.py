"""AdvGAN: one network makes the perturbation of any image, another tells perturbed images from real ones.

Xiao et al., "Generating adversarial examples with adversarial networks" (IJCAI 2018). The classifier is known here by
its gradient at images alone, so that it may be any that has one, behind any preprocessing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from art_domainrand.generative.batches import keyed_rows
from art_domainrand.generative.losses import least_squares
from art_domainrand.generative.networks import (
    PatchDiscriminator,
    ResidualGenerator,
    adam,
    cell_for,
    frozen_weights,
    seeded_network,
    take_step,
)
from art_domainrand.generative.record import FitRecord, Sums


@dataclass(frozen=True)
class PerturbationShape:
    """What a perturbation network is, but for its weights.

    :param channels: of the images.
    :param classes: how many classes it may be told to reach; 0 for one that is told none.
    :param cell: pixels a side of a cell of its grid.
    :param width: channels on the fine grid.
    :param blocks: residual blocks.
    """

    channels: int
    classes: int
    cell: int
    width: int
    blocks: int

    @classmethod
    def of_images(cls, x: Tensor, classes: int, width: int, blocks: int) -> PerturbationShape:
        """The shape for images like ``x`` (N, C, H, W)."""
        return cls(x.shape[1], classes, cell_for(*x.shape[2:]), width, blocks)


class PerturbationNetwork(nn.Module):
    """From images in [-1, 1], and classes to reach, to perturbations in (-1, 1).

    :param shape: what it is.
    """

    def __init__(self, shape: PerturbationShape) -> None:
        super().__init__()
        self.shape = shape
        self.generator = ResidualGenerator(
            shape.channels,
            shape.channels,
            width=shape.width,
            blocks=shape.blocks,
            cell=shape.cell,
            classes=shape.classes,
        )

    def forward(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
        """Perturbations of images (B, C, H, W); ``targets`` (B, K) are the classes to reach, one-hot."""
        return torch.tanh(self.generator(x, targets))


class PerturbedBatch(Protocol):
    """A batch of images about to be perturbed."""

    x: Tensor
    targets: Tensor | None

    def unit(self, images: Tensor) -> Tensor:
        """Images in [-1, 1]."""

    def perturbed(self, direction: Tensor) -> Tensor:
        """The images within the ball that the network's output in (-1, 1) leads to, differentiably."""

    def excess(self, direction: Tensor) -> Tensor:
        """By how much each perturbation is larger than wanted, (B,), differentiably."""

    def gradient(self, adv: Tensor) -> tuple[Tensor, Tensor]:
        """Where to go from ``adv`` to fool the classifier, a gradient of its shape; which fool it already, (B,)."""


@dataclass(frozen=True)
class PerturbationTraining:
    """How a perturbation network is trained.

    :param epochs: passes over the images.
    :param batch_size: images at a time.
    :param learning_rate: Adam's, for both networks.
    :param gan_weight: the weight of the discriminator's judgement; 0 trains without one.
    :param hinge_weight: the weight of what perturbations are too large by.
    :param seed: of the first weights and of the order.
    :param verbose: whether to show a progress bar.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    gan_weight: float
    hinge_weight: float
    seed: int
    verbose: bool = False

    def run(
        self, shape: PerturbationShape, n: int, batch_of: Callable[[Tensor, int], PerturbedBatch], device: torch.device
    ) -> tuple[PerturbationNetwork, FitRecord]:
        """Train a network.

        :param shape: what it is.
        :param n: how many images there are.
        :param batch_of: from the rows of a batch and the number of the epoch to the batch.
        :param device: where it is trained.
        :return: the network, ready for use, and what the run was like.
        """
        network = seeded_network(lambda: PerturbationNetwork(shape), self.seed, 0).to(device)
        judge = seeded_network(
            lambda: PatchDiscriminator(shape.channels, max(1, shape.width // 2), shape.cell), self.seed, 1
        ).to(device)
        optimizers = adam(network, self.learning_rate), adam(judge, self.learning_rate)
        epochs = []
        for epoch in tqdm(range(self.epochs), desc="PerturbationGenerator", leave=False, disable=not self.verbose):
            sums = Sums()
            for rows in keyed_rows(self.seed, n, self.batch_size, epoch):
                sums.add(self.step(network, judge, optimizers, batch_of(rows, epoch)), len(rows))
            epochs.append(sums.means())
        return frozen_weights(network), FitRecord(tuple(epochs))

    def step(
        self, network: PerturbationNetwork, judge: nn.Module, optimizers: tuple[Any, Any], batch: PerturbedBatch
    ) -> Mapping[str, Tensor]:
        """One step of the discriminator and one of the generator; what is to be known of them."""
        direction = network(batch.unit(batch.x), batch.targets)
        adv = batch.perturbed(direction)
        said: dict[str, Tensor] = {}
        if self.gan_weight:
            real, made = judge(batch.unit(batch.x)), judge(batch.unit(adv.detach()))
            said["discriminator"] = (least_squares(real, 1.0) + least_squares(made, 0.0)) / 2
            take_step(optimizers[1], said["discriminator"])
        gradient, fooled = batch.gradient(adv.detach())
        said["fooled"], said["excess"] = fooled.float().mean(), batch.excess(direction).mean()
        # Its gradient in the weights is that of the adversarial loss, whatever is behind the classifier's own.
        loss = -(gradient * adv).sum() / len(adv) + self.hinge_weight * said["excess"]
        if self.gan_weight:
            said["realism"] = least_squares(judge(batch.unit(adv)), 1.0)
            loss = loss + self.gan_weight * said["realism"]
        take_step(optimizers[0], loss)
        return said
