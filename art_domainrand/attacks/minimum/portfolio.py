"""Which stages an algorithm is made of, and how many steps each of them has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.minimum.ddn import DDNSteps
from art_domainrand.attacks.minimum.fmn import FMNSteps
from art_domainrand.attacks.minimum.frank_wolfe import FrankWolfeSteps
from art_domainrand.attacks.minimum.pdpgd import PDPGDSteps
from art_domainrand.attacks.minimum.problem import Problem
from art_domainrand.attacks.minimum.projected import ProjectedSteps
from art_domainrand.attacks.minimum.rule import MinimumSteps, Pace
from art_domainrand.attacks.minimum.run import MinimumRun
from art_domainrand.attacks.minimum.sigma_zero import SigmaZeroSteps
from art_domainrand.attacks.minimum.stage import Known, MinimumStage, StartFrom, from_image, from_nearest

StepsOf = Callable[[Problem, Known], MinimumSteps]

NORMS_OF: dict[str, tuple[float, ...]] = {
    "auto": (0.0, 1.0, 2.0, np.inf),
    "fmn": (0.0, 1.0, 2.0, np.inf),
    "pdpgd": (0.0, 1.0, 2.0, np.inf),
    "ddn": (2.0,),
    "sigma_zero": (0.0,),
}
"""Algorithm -> the norms that it takes."""

RULES: dict[str, Callable[[Problem, int], MinimumSteps]] = {
    "fmn": FMNSteps,
    "pdpgd": PDPGDSteps,
    "ddn": DDNSteps,
    "sigma_zero": SigmaZeroSteps,
}

# What the portfolio spends first, without a class in mind, and at the end around the closest points, as shares of all.
FIRST = {0.0: 0.5, 1.0: 0.4, 2.0: 0.4, np.inf: 0.3}
LAST = {0.0: 0.1, 1.0: 0.16, 2.0: 0.1, np.inf: 0.1}
# What ends elsewhere than the other attacks but needs many steps: how much of the first search it is, and how many.
SLOW, FEWEST_SLOW = {1.0: "pdpgd", 2.0: "fmn"}, 100
SLOW_SHARE = 0.75
# Between them it goes towards one class after the other: how many at most, and with how many steps each at least.
CLASSES, FEWEST = 6, 60
# How boldly each norm searches: by Frank-Wolfe in L0 and L1, by projected steps in L2 and L-inf; and polishes.
SEARCH = {
    0.0: Pace(gamma=(0.05, 0.001), step=(1.0, 1.0), momentum=0.9),
    1.0: Pace(gamma=(0.05, 0.001), step=(0.5, 0.01)),
    2.0: Pace(gamma=(0.05, 0.001), step=(1.0, 0.01)),
    np.inf: Pace(gamma=(0.05, 0.001), step=(2.0, 0.01)),
}
POLISH = Pace(gamma=(0.01, 0.0002), step=(0.15, 0.001), momentum=0.9)


class Portfolio:
    """Makes stages for ``inputs`` in ``norm``, whose gradients are means over ``samples`` draws."""

    def __init__(self, inputs: Inputs, norm: float, samples: int) -> None:
        self.inputs, self.norm, self.samples = inputs, norm, samples

    def stages(self, algorithm: str, max_iter: int) -> list[MinimumStage]:
        """The stages of an algorithm, which look at ``max_iter`` points together."""
        return self.auto(max_iter) if algorithm == "auto" else [self.alone(algorithm, max_iter)]

    def alone(self, algorithm: str, max_iter: int, towards: Tensor | None = None) -> MinimumStage:
        """One of the published algorithms from the images: DDN on the cross-entropy, the others on the margin."""
        loss = self.inputs.unsaturated("cross_entropy", self.samples) if algorithm == "ddn" else "margin"
        rule = RULES[algorithm]
        return self.stage(algorithm, max_iter, loss, lambda problem, known: rule(problem, max_iter), towards=towards)

    def auto(self, max_iter: int) -> list[MinimumStage]:
        """A search without a class in mind, one towards each of the nearest classes, and a polish of the best."""
        between = int(max_iter * (1 - FIRST[self.norm] - LAST[self.norm]))
        most = min(CLASSES, between // FEWEST)
        towards = self.rivals(most)
        each = between // len(towards) if towards else 0
        last = int(max_iter * LAST[self.norm])
        stages = self.first(max_iter - last - each * len(towards))
        stages += [self.towards(each, classes, rank) for rank, classes in enumerate(towards)]
        pace = POLISH if self.norm else SEARCH[self.norm]  # one entry of a few is more than the finest share
        return stages + ([self.chase(last, "margin", pace, from_nearest)] if last else [])

    def first(self, max_iter: int) -> list[MinimumStage]:
        """What finds a first example, wherever it is: in L1 and L2 two searches where there are steps enough."""
        if self.norm == 0:
            return [self.alone("sigma_zero", max_iter)]
        slow = int(SLOW_SHARE * max_iter) if self.norm in SLOW else 0
        slow = slow if slow >= FEWEST_SLOW else 0
        loss = self.inputs.unsaturated("cross_entropy", self.samples)
        quick = self.chase(max_iter - slow, loss, SEARCH[self.norm])
        return [quick, self.alone(SLOW[self.norm], slow)] if slow else [quick]

    def towards(self, max_iter: int, classes: Tensor, rank: int) -> MinimumStage:
        """A search towards the classes (N,) of this rank: in L0 by sigma-zero for the first of them."""
        if self.norm == 0 and 2 * rank < CLASSES:
            return self.alone("sigma_zero", max_iter, classes)
        return self.chase(max_iter, "margin", SEARCH[self.norm], towards=classes)

    def rivals(self, most: int) -> list[Tensor]:
        """The classes (N,) to go for, one after the other; a targeted attack has but its own."""
        if not most or self.inputs.config.targeted:
            return []
        rivals = self.inputs.clean(most).rivals[:, :most]
        return [rivals[:, rank] for rank in range(rivals.shape[1])]

    def chase(
        self,
        max_iter: int,
        loss: Any,
        pace: Pace,
        start: StartFrom = from_image,
        towards: Tensor | None = None,
    ) -> MinimumStage:
        """Steps below the best distance: of Frank-Wolfe where it is sparse, projected elsewhere."""
        sparse = self.norm in (0, 1)
        rule = FrankWolfeSteps if sparse else ProjectedSteps
        name = "Frank-Wolfe" if sparse else "projected steps"
        return self.stage(
            name, max_iter, loss, lambda problem, known: rule(problem, known, max_iter, pace), start, towards
        )

    def stage(
        self,
        name: str,
        max_iter: int,
        loss: Any,
        steps: StepsOf,
        start: StartFrom = from_image,
        towards: Tensor | None = None,
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
