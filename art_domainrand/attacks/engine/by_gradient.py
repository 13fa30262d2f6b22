"""One restart of one batch by gradients alone: ART's way, which asks for no scores and waits for nobody."""

import torch
from torch import Tensor

from art_domainrand.attacks.engine.best import BestSoFar, Which
from art_domainrand.attacks.engine.criterion import Criterion, LossCriterion
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.stage import Stage

NO_VALUE = torch.empty(0)
"""What a step rule is told of the loss, which nobody has asked for."""


class ByGradient:
    """A run of ``stage`` on the samples ``which``; ``number`` is that of the stage, the restart, and always 1."""

    def __init__(
        self, inputs: Inputs, stage: Stage, best: BestSoFar, which: Which, number: tuple[int, int, int]
    ) -> None:
        self.inputs, self.stage, self.best, self.which = inputs, stage, best, which
        self.y = inputs.y(which)
        ball = stage.balls.around(which)
        self.steps = stage.steps(ball, inputs.mask_of(which), which)
        self.adv = stage.start(number[0], number[1], ball, which)

    def run(self) -> None:
        """Climb to the end; where there are several restarts, compare the end with what other restarts came to."""
        source, stage, sign = self.inputs.source, self.stage, self.inputs.sign
        labels = source.labels(self.y)
        for i in range(stage.max_iter):
            gradient = source.gradient(self.adv, labels, sign)
            if stage.observe is not None:
                stage.observe(i, gradient, self.adv, self.which)
            self.adv = self.steps.next(i, self.adv, gradient, NO_VALUE)
        self.best.tainted[self.which] |= self.steps.tainted.isnan()
        adv = self.steps.ball.settle(self.adv)
        if stage.restarts == 1:
            self.best.put(self.which, adv)
            return
        fooled, margin = self.judge(adv)
        self.best.offer(self.which, adv, fooled, margin, fooled if stage.later_success else None)

    def judge(self, adv: Tensor) -> tuple[Tensor, Tensor]:
        """Which samples succeed (A,), and their margins (A,), or losses where there are no classes to succeed in."""
        if self.inputs.with_classes:
            return Criterion(self.y, self.inputs.sign).judge(self.inputs.source.scores(adv))
        return LossCriterion(self.inputs.estimator, self.y, self.inputs.sign).judge(adv)
