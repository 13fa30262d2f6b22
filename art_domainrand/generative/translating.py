"""Unpaired translation: a generator makes images look like those of another set, and keeps what they show.

A discriminator says whether an image looks like the target (least squares). What an image shows is kept by one of two
consistencies: back and forth to the same image (CycleGAN, Zhu et al., ICCV 2017), or patches that can be told from the
others of their image by what they were (CUT, Park et al., ECCV 2020).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from art_domainrand.core.random import TRIAL, seed_of
from art_domainrand.generative.batches import keyed_order
from art_domainrand.generative.consistency import CONSISTENCIES, Consistency
from art_domainrand.generative.losses import least_squares
from art_domainrand.generative.networks import adam, frozen_weights, take_step
from art_domainrand.generative.record import VIEWED, FitRecord, Sums, agreement
from art_domainrand.generative.translation_network import (
    TranslationNetwork,
    TranslationShape,
    noise_of,
    seeded_judge,
    seeded_translator,
)


@dataclass(frozen=True)
class TranslationTraining:
    """How a translating network is trained.

    :param epochs: passes over the larger of the two sets.
    :param batch_size: images of each set at a time.
    :param learning_rate: Adam's, for all networks; falls to zero over the second half, linearly.
    :param consistency: what keeps an image's content.
    :param weight: the weight of that; None for that of its paper.
    :param seed: of first weights, order, noise and patches.
    :param verbose: whether to show a progress bar.
    :param title: what it is called.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    consistency: Consistency
    weight: float | None
    seed: int
    verbose: bool = False
    title: str = "DomainGenerator"

    def best_of(
        self, restarts: int, shape: TranslationShape, source: Tensor, target: Tensor, device: torch.device
    ) -> tuple[TranslationNetwork, FitRecord]:
        """Train from several first weights, and keep what the discriminator can tell from the target least.

        Unpaired translation can settle on a wrong map, such as strokes that stay bright where they should turn dark.
        Its own losses do not always tell, but the restarts do: right maps are alike.

        :param restarts: how many; the first is :meth:`run`.
        :return: the network and its record, which says how alike the maps of the others are.
        """
        seeds = [self.seed, *(seed_of(self.seed, TRIAL, number) for number in range(1, restarts))]
        found = []
        for number, seed in enumerate(seeds, 1):
            title = f"{self.title}, {number} of {restarts}" if restarts > 1 else self.title
            found.append(replace(self, seed=seed, title=title).run(shape, source, target, device))
        network, record = min(found, key=lambda one: one[1].late("realism"))
        x = source[:VIEWED].to(device, torch.float32)
        with torch.no_grad():
            made = network(x)
            alike = tuple(agreement(made, other(x)) for other, _ in found if other is not network)
        return network, replace(record, agreements=alike)

    def run(
        self, shape: TranslationShape, source: Tensor, target: Tensor, device: torch.device
    ) -> tuple[TranslationNetwork, FitRecord]:
        """Train a network.

        :param shape: what it is.
        :param source: images (N, C, H, W) in [0, 1].
        :param target: images (M, C, H', W') in [0, 1].
        :param device: where it is trained; batches are moved there.
        :return: the network, ready for use, and what the run was like.
        """
        network = seeded_translator(shape, self.seed, 0, device)
        judge = seeded_judge(shape, self.seed, 1, device)
        make, usual = CONSISTENCIES[self.consistency]
        content, weight = (
            make(network, self.seed, self.learning_rate, device),
            usual if self.weight is None else self.weight,
        )
        optimizers: list[Any] = [adam(network, self.learning_rate), adam(judge, self.learning_rate)]
        epochs, number = [], 0
        for epoch in tqdm(range(self.epochs), desc=self.title, leave=False, disable=not self.verbose):
            for optimizer in [*optimizers, *content.optimizers]:
                optimizer.param_groups[0]["lr"] = self.learning_rate * min(1.0, 2 * (1 - epoch / self.epochs))
            sums = Sums()
            for pair in self.batches(source, target, epoch):
                x, t = (images.to(device, torch.float32) for images in pair)
                made = network(x, noise_of(shape, self.seed, x, number, 0))
                real, false = judge(t), judge(made.detach())
                judged = (least_squares(real, 1.0) + least_squares(false, 0.0)) / 2
                take_step(optimizers[1], judged)
                content.judged(x, t)
                realism, lost = least_squares(judge(made), 1.0), content.value(x, made, t, number)
                for optimizer in content.optimizers:
                    optimizer.zero_grad(set_to_none=True)
                take_step(optimizers[0], realism + weight * lost)
                for optimizer in content.optimizers:
                    optimizer.step()
                sums.add({"discriminator": judged, "realism": realism, "content": lost}, len(x))
                number += 1
            epochs.append(sums.means())
        return frozen_weights(network), FitRecord(tuple(epochs))

    def batches(self, source: Tensor, target: Tensor, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Pairs of batches by chance; the smaller set comes round again."""
        orders = [keyed_order(self.seed, len(images), epoch, side) for side, images in enumerate((source, target))]
        size = min(self.batch_size, len(source), len(target))
        for first in range(0, max(len(source), len(target)), size):
            places = torch.arange(first, first + size)
            rows = [order[places % len(order)] for order in orders]
            yield source[rows[0].to(source.device)], target[rows[1].to(target.device)]
