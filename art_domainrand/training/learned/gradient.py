"""Ranges that follow a gradient: up the training loss, or down the loss on a validation domain."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.transform import Draw
from art_domainrand.randomization.learned.fields import check_learnable
from art_domainrand.randomization.learned.ranges import LearnableRanges
from art_domainrand.randomization.learned.unrolled import Weights
from art_domainrand.training.learned.settings import AdversarialRanges, MetaRanges
from art_domainrand.training.trainer.distributed import all_reduce
from art_domainrand.training.trainer.ranges import Ranges

COLLAPSED = 0.1
"""Ranges of a mean width below this share of the pipeline's own are no ranges any more."""


@dataclass(frozen=True)
class LearnedBatch:
    """This process's rows of the batch that was just learned from.

    :param clean: the images as given, (B, ...), on the device.
    :param y: their class indices, (B,).
    :param draw: their even draw, on the CPU.
    :param perturbation: what the attack added to the first of the randomized images.
    :param randomize: images and a placed draw -> randomized images, with gradients to the draw.
    :param losses: weights, images and labels -> the loss of each image, (B,), with gradients to weights and images.
    :param weights: the trained weights of the model, by name.
    :param rate: the learning rate by now.
    :param share: the share of these rows in the whole batch.
    :param key: a number of this batch's own, for what is drawn on top.
    """

    clean: Tensor
    y: Tensor
    draw: Draw
    perturbation: Tensor
    randomize: Callable[[Tensor, Draw], Tensor]
    losses: Callable[[Weights, Tensor, Tensor], Tensor]
    weights: Weights
    rate: float
    share: float
    key: int

    def whole(self, gradient: Tensor) -> Tensor:
        """From the gradient of the mean loss of these rows to that of all processes' rows."""
        return all_reduce(gradient.to(self.clean.device) * self.share).to(gradient.device)

    def images(self, ranges: LearnableRanges) -> Tensor:
        """The images as they were learned from, with a gradient to the ranges; the attack's part stays (Danskin)."""
        images = self.randomize(self.clean, ranges.place(self.draw).to(self.clean.device))
        count = len(self.perturbation)
        return torch.cat((images[:count] + self.perturbation, images[count:]))


class LearnedRanges(Ranges):
    """Ranges whose law is a :class:`LearnableRanges`."""

    scheduled: ClassVar[bool] = False

    def __init__(self, pipeline: Pipeline, family: str, kept: float = 0.0) -> None:
        super().__init__(pipeline)
        check_learnable("randomization", pipeline, family)
        self.learned = LearnableRanges(pipeline, family, kept)

    @property
    def width(self) -> float:
        """The mean width of the learned ranges, or what the odds have left of their entropy where there are none."""
        with torch.no_grad():
            widths = self.learned.widths() if self.learned.fields else self.learned.entropies().exp()
        return float(widths.mean())

    @torch.no_grad()
    def place(self, draw: Draw) -> Draw:
        return self.learned.place(draw)

    def to_pipeline(self) -> Pipeline | None:
        return self.learned.to_pipeline()

    def report(self) -> dict[str, float]:
        return super().report() | {"entropy": float(self.learned.entropy().detach())}

    def end_epoch(self) -> None:
        if self.width < COLLAPSED:
            warnings.warn(
                f"collapsed ranges: their mean width is {self.width:.1%} of the pipeline's; raise the weight of their "
                "entropy, lower their rate, or let the model learn more between their steps",
                RuntimeWarning,
                stacklevel=2,
            )

    def state(self) -> dict[str, Tensor]:
        return {f"learned.{name}": value.clone() for name, value in self.learned.state_dict().items()}

    def load(self, state: dict[str, Any]) -> None:
        own = {name.removeprefix("learned."): v for name, v in state.items() if name.startswith("learned.")}
        self.learned.load_state_dict(own)


class GradientRanges(LearnedRanges):
    """Learned ranges that take a step of Adam along a gradient, every so many batches."""

    follows: ClassVar[bool] = True

    def __init__(self, pipeline: Pipeline, steps: AdversarialRanges | MetaRanges) -> None:
        super().__init__(pipeline, steps.family, steps.kept)
        self.coefficient, self.every, self.batches = steps.entropy, steps.every, 0
        # The direction matters, not the length: a range's effect on the loss differs by orders of magnitude.
        self.optimizer = torch.optim.Adam(self.learned.parameters(), lr=steps.rate, betas=(0.9, 0.99))

    def follow(self, batch: LearnedBatch) -> None:
        self.batches += 1
        if self.batches % self.every:
            return
        uphill = self.uphill(batch)
        total = self.coefficient * self.learned.entropies().sum()
        spread = torch.autograd.grad(total, list(self.learned.parameters()), materialize_grads=True)
        for parameter, gradient, even in zip(self.learned.parameters(), uphill, spread, strict=True):
            parameter.grad = -(batch.whole(gradient) + even)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.learned.project()

    @abstractmethod
    def uphill(self, batch: LearnedBatch) -> Sequence[Tensor]:
        """The direction to move in, for each of the learned parameters."""

    def state(self) -> dict[str, Tensor]:
        moments = {
            f"adam.{number}.{name}": value
            for number, values in self.optimizer.state_dict()["state"].items()
            for name, value in values.items()
        }
        return super().state() | moments | {"batches": torch.tensor(self.batches)}

    def load(self, state: dict[str, Any]) -> None:
        super().load(state)
        self.batches = int(state["batches"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            if name.startswith("adam."):
                _, number, moment = name.split(".")
                moments.setdefault(int(number), {})[moment] = value.clone()
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})
