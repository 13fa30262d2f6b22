"""The stage of Square attack, and those that look for masked gradients and run it where they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count

import torch
from torch import Tensor

from art_domainrand.attacks.blackbox.proposals import mountains, nearest_allowed, stripes
from art_domainrand.attacks.blackbox.square_steps import OwnValue, SquarePlan, SquareSteps
from art_domainrand.attacks.blackbox.unmasking_budget import UnmaskingBudget
from art_domainrand.attacks.blackbox.windows import Planes
from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.best import BestSoFar, Which
from art_domainrand.attacks.engine.evaluator import AGREEING_DRAWS
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.runs import JudgedRun
from art_domainrand.attacks.engine.stage import HowToRun, Stage
from art_domainrand.attacks.engine.steps import StepRule
from art_domainrand.core.norms import Ball
from art_domainrand.core.random import PROPOSE, START, derive

# A few queries without gradients that raise the margin this share as far as all gradient stages did are a sign of
# masked gradients; half of it is a reason to look closer. Where gradients work they do not come near: on adversarially
# trained networks the largest share of any sample after 50 queries was .84 in L-inf, .44 in L2, .28 in L1, and one
# sample in ten had .5 after 20. Behind rounding and shattered gradients 39 of 40 had .9 after 50.
AS_FAR, DOUBTFUL = 0.9, 0.5


class MaskedSamples:
    """Which samples (N,) of a call look as if their gradients were masked.

    That a search without gradients does better is a sign of it (Athalye et al. 2018, section 3.1; Carlini et al. 2019).
    It holds for every reason alike: gradients that are zero, not finite, shattered, or those of something else. What is
    compared is how far the gradient stages and a few queries of Square have raised the sample's own margin. Where their
    random starts have raised it, as behind a coarse rounding, that says nothing: so who has no gradient at all at the
    original looks masked at once. A sample that has looked masked once stays so: Square has raised its margin since,
    which gradients have not.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.masked = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
        self.doubtful = self.masked.clone()
        self.looked = self.masked.clone()

    def look_at_gradients(self, ids: Tensor) -> None:
        """Note who of ``ids`` (A,) has a gradient of the margin that is zero or not finite everywhere; once of each."""
        new = ids[~self.looked[ids]]
        self.looked[new] = True
        if len(new):
            evaluator = self.inputs.evaluator(new, self.inputs.criterion(new, "margin"), PROPOSE)
            rows = torch.arange(len(new), device=new.device)
            gradient = evaluator.evaluate(self.inputs.x[new], rows).gradient.flatten(1)
            self.masked[new] |= ((gradient == 0) | ~gradient.isfinite()).all(1)

    def compare(self, ids: Tensor, known: Tensor, by_scores: Tensor) -> None:
        """Note what the margins ``by_scores`` (A,) that a probe came to say of the samples ``ids`` (A,).

        ``known`` (A,) are the largest margins before the probe.
        """
        before = self.inputs.clean(0).margin[ids]
        self.masked[ids] |= by_scores - before >= AS_FAR * (known - before)
        self.doubtful[ids] = (by_scores - before >= DOUBTFUL * (known - before)) & ~self.masked[ids]

    def in_doubt(self, ids: Tensor, margin: Tensor) -> Tensor:
        """Which samples ``ids`` (A,) are worth a closer look."""
        return self.doubtful[ids]

    def worthwhile(self, ids: Tensor, margin: Tensor) -> Tensor:
        """Which samples ``ids`` (A,) look masked."""
        return self.masked[ids]

    def report(self, best: BestSoFar) -> None:
        """Say how many samples looked masked, and how many of them fell without gradients."""
        count = int(self.masked.sum())
        if count:
            broken = int((self.masked & best.fooled).sum())
            warnings.warn(
                f"the gradients of {count} of {len(self.masked)} samples look masked: a few random changes raised the "
                f"margin as far as gradients did. Square attack, which needs none, broke {broken} of them; that the "
                "rest survive does not show that they are robust. art_domainrand.diagnose says what may mask them",
                RuntimeWarning,
                stacklevel=4,
            )


class ProbingRun(JudgedRun):
    """A short run without gradients that tells ``samples`` how far it came beside what was found before."""

    def __init__(
        self,
        samples: MaskedSamples,
        inputs: Inputs,
        stage: Stage,
        best: BestSoFar,
        ids: Which,
        number: tuple[int, int, int],
    ) -> None:
        super().__init__(inputs, stage, best, ids, number)
        self.masking, self.before = samples, best.margin[ids]

    def run(self) -> None:
        everyone = self.ids
        self.masking.look_at_gradients(everyone)
        super().run()
        # Whoever has left the batch was fooled, which is as far as one can get.
        reached = torch.full_like(self.before, torch.inf)
        assert isinstance(self.steps, SquareSteps)
        reached[self.rows] = self.steps.value
        self.masking.compare(everyone, self.before, reached)


def square_stage(
    balls: Balls,
    plan: SquarePlan,
    way: HowToRun,
    worthwhile: Callable[[Tensor, Tensor], Tensor] | None = None,
    value: OwnValue | None = None,
) -> Stage:
    """Square attack from its own start, in L-inf squares at the ends of the ball, in L2 and L1 mountains and valleys.

    Every sample has its own windows, by its own key, so that nothing depends on its company. The ``way`` must look at
    every point. ``value`` is raised in place of the margin; what counts as a success stays what it is.
    """
    inputs = balls.inputs
    last = getattr(inputs.estimator, "channels_first", True) is False
    planes = Planes(tuple(inputs.x.shape[1:]), channels_last=last)
    quantize = inputs.config.quantize
    first = stripes if balls.norm == torch.inf else mountains

    def start(number: int, restart: int, around: Ball, which: Which) -> Tensor:
        keys = derive(inputs.keys_of(which), START, plan.run)
        return nearest_allowed(around, inputs.mask_of(which), first(around, planes, keys), quantize=quantize)

    def steps(ball: Ball, mask: Tensor | None, which: Which) -> StepRule:
        keys = derive(inputs.keys_of(which), PROPOSE, plan.run)
        own = None if value is None else (value, which)
        return SquareSteps(ball, mask, keys, planes, plan, own, quantize=quantize)

    return Stage(
        name="Square",
        way=way,
        around=balls.around,
        criterion=inputs.criterion,
        steps=steps,
        start=start,
        max_iter=plan.queries,
        worthwhile=worthwhile,
    )


def unmasking_blocks(balls: Balls, budgets: Sequence[UnmaskingBudget]) -> list[list[Stage]]:
    """For each budget a probe without gradients of everyone left, then Square attack on who has looked masked.

    :param balls: What may be searched.
    :param budgets: The numbers of queries. Where predictions vary each query is a mean over several draws, and as many
        times fewer are made.
    :return: Blocks of stages to run one after the other, each after stages that follow gradients. No two runs share
        random numbers. The last says in a RuntimeWarning what was found in all.
    """
    samples, runs = MaskedSamples(balls.inputs), count()
    blocks = [unmasking_stages(balls, budget, samples, runs) for budget in budgets]
    blocks[-1][-1] = replace(blocks[-1][-1], after=samples.report)
    return blocks


def unmasking_stages(balls: Balls, budget: UnmaskingBudget, samples: MaskedSamples, runs: Iterator[int]) -> list[Stage]:
    """One block: a probe, a closer look at the doubtful, and the attack on the masked; ``runs`` numbers them."""
    queries = -(-budget.queries // (AGREEING_DRAWS if balls.inputs.random else 1))
    look = partial(ProbingRun, samples)
    return [
        square_stage(balls, SquarePlan(budget.probe, run=next(runs)), look),
        square_stage(balls, SquarePlan(budget.closer, run=next(runs)), look, samples.in_doubt),
        square_stage(balls, SquarePlan(queries, run=next(runs)), JudgedRun, samples.worthwhile),
    ]
