"""How one batch is run: by gradients alone, which is ART's way, or judging every point."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from art_domainrand.attacks.engine.best import BestSoFar, Which, better, on
from art_domainrand.attacks.engine.criterion import Criterion
from art_domainrand.attacks.engine.evaluator import Assessment
from art_domainrand.attacks.engine.inputs import Inputs
from art_domainrand.attacks.engine.quantize import to_levels
from art_domainrand.attacks.engine.stage import Stage
from art_domainrand.core.norms import Ball, per_sample
from art_domainrand.core.random import CLIMB
from art_domainrand.estimators import loss_of_each

# On a device a look at who is fooled makes the host wait; it is worth it every few steps. On the CPU it costs nothing.
LOOK_EVERY = 5


NO_VALUE = torch.empty(0)
"""What a step rule is told of the loss, which nobody has asked for."""


class LossCriterion:
    """For an estimator without classes: nobody succeeds, and the estimator's own loss ranks the samples of a batch.

    ``y`` are the batch's targets, as the estimator takes them; ``sign`` is -1 for a targeted attack.
    """

    def __init__(self, estimator: Any, y: Any, sign: int) -> None:
        self.estimator, self.y, self.sign = estimator, y, sign

    def judge(self, adv: Tensor) -> tuple[Tensor, Tensor]:
        """No successes, (B,), and the losses of the images ``adv``, (B,), to rank them."""
        loss = self.sign * loss_of_each(self.estimator, adv.cpu().numpy(), self.y).to(adv.device)
        strength = loss.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf).float()
        return torch.zeros(len(adv), dtype=torch.bool, device=adv.device), strength


class ByGradient:
    """One restart of one batch by gradients alone, which asks for no scores and waits for nobody.

    A run of ``stage`` on the samples ``which``; ``number`` is that of the stage, of the restart, and always 1.
    """

    consecutive: ClassVar[bool] = True

    def __init__(
        self, inputs: Inputs, stage: Stage, best: BestSoFar, which: Which, number: tuple[int, int, int]
    ) -> None:
        self.inputs, self.stage, self.best, self.which = inputs, stage, best, which
        self.y = inputs.y(which)
        ball = stage.around(which)
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


class JudgedRun:
    """Restarts of one batch, each point of which is judged: who is fooled leaves, the best point is kept.

    A run of ``stage`` on the samples ``ids``; ``number`` is that of the stage, of the first restart, and how many.

    The result is that of the same restarts one after the other: with ``early_stop`` the first restart that fools a
    sample decides, whichever gets there in fewer steps, so restarts after it leave at once and those before it go on.
    """

    consecutive: ClassVar[bool] = False

    def __init__(self, inputs: Inputs, stage: Stage, best: BestSoFar, ids: Which, number: tuple[int, int, int]) -> None:
        assert isinstance(ids, Tensor)
        stage_number, restart, together = number
        device = ids.device
        self.inputs, self.stage, self.results = inputs, stage, best
        self.restarts, self.samples = together, len(ids)
        self.ids = ids.repeat(together)
        ball = stage.around(self.ids)
        self.steps = stage.steps(ball, inputs.mask_of(self.ids), self.ids)
        every = torch.arange(len(self.ids), device=device).view(together, -1)
        starts = [self.begin(stage_number, restart + k, ball.take(own), ids) for k, own in enumerate(every)]
        self.adv = torch.cat(starts)
        restarts = restart + torch.arange(together, device=device).repeat_interleave(len(ids))
        self.evaluator = inputs.evaluator(
            self.ids, stage.criterion(self.ids), CLIMB, stage_number, restarts, samples=stage.samples
        )
        n = len(self.ids)
        self.rows = torch.arange(n, device=device)
        # The first restart in this batch that has fooled each sample.
        self.first = torch.full((self.samples,), together, device=device)
        # What is proposed as a result, and how good it looked from the step that met it.
        self.best = self.adv
        self.best_fooled = torch.zeros(n, dtype=torch.bool, device=device)
        self.best_margin = torch.full((n,), -torch.inf, dtype=torch.float32, device=device)

    def begin(self, number: int, restart: int, around: Ball, ids: Tensor) -> Tensor:
        """Where the judged steps of one restart of these samples (A,) begin, (A, ...)."""
        adv = self.start(number, restart, around, ids)
        lead_up = self.stage.lead_up
        return adv if lead_up is None else lead_up(adv, number, restart, ids)

    def start(self, number: int, restart: int, around: Ball, ids: Tensor) -> Tensor:
        """Where one restart starts, (A, ...)."""
        return self.stage.start(number, restart, around, ids)

    def run(self) -> None:
        """Climb to the end, and offer the outcome of every sample."""
        stage, random = self.stage, self.inputs.random
        looks = 1 if looks_at_every_step(self.adv, random) else LOOK_EVERY
        for i in range(stage.max_iter):
            if i == 0 and not stage.judge_start:
                self.first_step()
                continue
            if self.steps.takes_gradient(i):
                found = self.evaluator.evaluate(self.adv, self.rows)
            else:
                fooled, margin = self.evaluator.judge(self.adv, self.rows)
                found = Assessment(self.adv, margin, fooled, margin)
            self.propose(found)
            if stage.early_stop and i % looks == 0:
                left = self.drop_fooled()
                if not len(self.rows):
                    return
                found = found if left is None else found.take(left)
            elif random and stage.keep_best and i % looks == looks - 1:
                self.settle_proposals()
            self.adv = self.steps.next(i, self.adv, found.gradient, found.value)
        if stage.early_stop and looks > 1:  # who was fooled after the last look: the first success counts, not the end
            self.drop_fooled()
            if not len(self.rows):
                return
        self.finish()

    def first_step(self) -> None:
        """Step from a start that is no result, so that nobody needs its scores."""
        source = self.inputs.source
        gradient = source.gradient(self.adv, source.labels(self.inputs.y(self.ids)), self.inputs.sign)
        if self.stage.observe is not None:
            self.stage.observe(0, gradient, self.adv, self.ids)
        self.adv = self.steps.next(0, self.adv, gradient, self.best_margin)

    def propose(self, found: Assessment) -> None:
        """Remember the best point met: the first that fools, or with ``keep_best`` that of the largest margin."""
        if self.stage.keep_best:
            wins = better(found.fooled, found.margin, self.best_fooled, self.best_margin)
        else:
            wins = found.fooled & ~self.best_fooled
        self.best = torch.where(per_sample(wins, self.adv), self.adv, self.best)
        self.best_margin = torch.where(wins, found.margin, self.best_margin)
        self.best_fooled = self.best_fooled | wins & found.fooled

    def drop_fooled(self) -> Tensor | None:
        """Write down the samples that are fooled and go on with the others; returns which, None for all of them."""
        found = self.best_fooled.nonzero().squeeze(1)
        if not len(found):
            return None
        adv, fooled, margin = self.judged(self.best[found], found)
        self.offer(found[fooled], adv[fooled], fooled[fooled], margin[fooled])
        # What did not hold when looked at again was luck: the search goes on from where it is.
        failed = found[~fooled]
        self.best_fooled[failed], self.best_margin[failed] = False, -torch.inf
        keep = (self.rows // self.samples < self.first[self.rows % self.samples]).nonzero().squeeze(1)
        if len(keep) == len(self.rows):
            return None
        self.note_tainted()
        self.ids, self.rows, self.adv = self.ids[keep], self.rows[keep], self.adv[keep]
        self.best, self.best_margin, self.best_fooled = self.best[keep], self.best_margin[keep], self.best_fooled[keep]
        self.steps.take(keep)
        return keep

    def settle_proposals(self) -> None:
        """Offer the proposals by what fresh draws say of them, and forget how good they had looked."""
        rows = torch.arange(len(self.rows), device=self.rows.device)
        self.offer(rows, *self.judged(self.best, rows))
        self.best_margin = torch.full_like(self.best_margin, -torch.inf)
        self.best_fooled = torch.zeros_like(self.best_fooled)

    def judged(self, adv: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The examples as they will be returned, which of them fool, and their margins."""
        finite = adv.isfinite().flatten(1).all(1)
        adv = self.finished(adv, self.steps.ball.take(rows))
        if self.inputs.trusted:
            return adv, self.best_fooled[rows] & finite, self.best_margin[rows]
        return adv, *self.evaluator.judge(adv, self.rows[rows])

    def finished(self, adv: Tensor, ball: Ball) -> Tensor:
        """Exactly inside the ball, and in 8 bits if asked."""
        adv = ball.settle(adv)
        return to_levels(adv, ball) if self.inputs.config.quantize else adv

    def finish(self) -> None:
        """Offer what is left: the last point, or the best."""
        adv = self.finished(self.adv, self.steps.ball)
        rows = torch.arange(len(self.rows), device=self.rows.device)
        if self.stage.compares:
            fooled, margin = self.evaluator.judge(adv, self.rows)
        else:
            fooled, margin = torch.zeros_like(self.best_fooled), torch.zeros_like(self.best_margin)
        self.offer(rows, adv, fooled, margin)
        # Without keep_best the proposals that have not fooled are only where the climb began.
        met = rows if self.stage.keep_best else (self.best_fooled & self.stage.early_stop).nonzero().squeeze(1)
        if len(met):
            self.offer(met, *self.judged(self.best[met], met))
        self.note_tainted()

    def offer(self, rows: Tensor, adv: Tensor, fooled: Tensor, margin: Tensor) -> None:
        """Hand examples to the results, restart by restart, since the same sample may come once from each."""
        if self.restarts == 1:
            self.results.offer(self.ids[rows], adv, fooled, margin)
            self.first[self.rows[rows[fooled]]] = 0
            return
        for restart in range(self.restarts):
            place = self.rows[rows] % self.samples
            own = self.rows[rows] // self.samples == restart
            if self.stage.early_stop:
                own &= restart <= self.first[place]  # later restarts would not have been run
            place, wins = place[own], fooled[own]
            earlier = wins & (restart < self.first[place])
            instead = earlier & (self.first[place] < self.restarts) if self.stage.early_stop else None
            self.results.offer(self.ids[rows][own], adv[own], wins, margin[own], instead)
            self.first[place[earlier]] = restart

    def note_tainted(self) -> None:
        """Note which samples met a non-finite gradient."""
        tainted = self.ids[self.steps.tainted.isnan()]  # a sample may be here once per restart
        self.results.tainted[tainted] = True


class ContinuedRun(JudgedRun):
    """The same, but from the best points that were found before, where there are any."""

    def start(self, number: int, restart: int, around: Ball, ids: Tensor) -> Tensor:
        """The best points (A, ...); where there are none, the stage's own starts."""
        adv, best = super().start(number, restart, around, ids), self.results
        found = best.adv[on(ids, best.adv)].to(adv)
        return torch.where(per_sample(best.margin[ids] > -torch.inf, found), found, adv)


def looks_at_every_step(adv: Tensor, random: bool) -> bool:
    """Whether looking at who is fooled costs nothing: on a device the host waits, a random model is asked anew."""
    return adv.device.type == "cpu" and not random
