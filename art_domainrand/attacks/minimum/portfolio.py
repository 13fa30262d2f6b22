"""Which stages an algorithm is made of, and how many steps each of them has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.minimum.ddn import DDNSteps
from art_domainrand.attacks.minimum.fmn import FMNSteps
from art_domainrand.attacks.minimum.problem import Problem
from art_domainrand.attacks.minimum.rule import MinimumSteps
from art_domainrand.attacks.minimum.run import MinimumRun
from art_domainrand.attacks.minimum.stage import Known, MinimumStage, from_image

Steps = Callable[[Problem, Known], MinimumSteps]

NORMS_OF: dict[str, tuple[float, ...]] = {
    "auto": (0.0, 1.0, 2.0, np.inf),
    "fmn": (0.0, 1.0, 2.0, np.inf),
    "ddn": (2.0,),
}
"""Algorithm -> the norms that it takes."""


class Portfolio:
    """Makes stages for ``inputs`` in ``norm``, whose gradients are means over ``samples`` draws."""

    def __init__(self, inputs: Inputs, norm: float, samples: int) -> None:
        self.inputs, self.norm, self.samples = inputs, norm, samples

    def stages(self, algorithm: str, max_iter: int) -> list[MinimumStage]:
        """The stages of an algorithm, which look at ``max_iter`` points together."""
        if algorithm == "ddn":
            return [self.ddn(max_iter)]
        return [self.fmn(max_iter)]

    def fmn(self, max_iter: int) -> MinimumStage:
        """FMN from the images."""
        return self.stage("FMN", max_iter, "margin", lambda problem, known: FMNSteps(problem, max_iter))

    def ddn(self, max_iter: int) -> MinimumStage:
        """DDN from the images."""
        loss = self.inputs.unsaturated("cross_entropy", self.samples)
        return self.stage("DDN", max_iter, loss, lambda problem, known: DDNSteps(problem, max_iter))

    def stage(
        self,
        name: str,
        max_iter: int,
        loss: object,
        steps: Steps,
        start: Callable[[Problem, Known], torch.Tensor] = from_image,
        towards: torch.Tensor | None = None,
    ) -> MinimumStage:
        """A stage on one loss, or on the targeted difference of logits ratio ``towards`` classes (N,)."""
        inputs = self.inputs
        return MinimumStage(
            name=name,
            way=MinimumRun,
            norm=self.norm,
            criterion=lambda which: inputs.criterion(which, loss, None if towards is None else towards[which]),
            steps=steps,
            start=start,
            max_iter=max_iter,
            samples=self.samples,
        )
