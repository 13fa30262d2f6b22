"""The best adversarial example of every sample over steps and restarts, climbing only those that are not fooled yet."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm.auto import tqdm

from art_domainrand.attacks.engine.aim import Aim
from art_domainrand.attacks.engine.oracle import Expectation, Oracle, Standing
from art_domainrand.attacks.engine.quantize import to_levels
from art_domainrand.attacks.engine.steps import Steps
from art_domainrand.core.norms import Ball, per_sample
from art_domainrand.core.random import CLIMB, derive
from art_domainrand.estimators import Gradients

# On a device a look at who is fooled makes the host wait; it is worth it every few steps. On the CPU it costs nothing.
LOOK_EVERY = 5


@dataclass(frozen=True)
class Problem:
    """What one call attacks: ``n`` samples and how to get at any of them.

    ``ball(ids)`` is the ball around the samples ``ids`` (A,), which may repeat; ``mask(ids)`` broadcasts to them or is
    None. ``trusted`` says that what a step sees of a sample is what the estimator predicts for it: in full precision,
    without randomness, rounding or postprocessing. ``quantize`` rounds what is returned to 8-bit levels. ``keys`` (n,)
    are the samples' own random numbers.
    """

    source: Gradients
    n: int
    ball: Callable[[Tensor], Ball]
    mask: Callable[[Tensor], Tensor | None]
    expectation: Expectation
    random: bool
    trusted: bool
    quantize: bool
    batch_size: int
    hidden: bool
    keys: Tensor


@dataclass(frozen=True)
class Stage:
    """One attack on the samples that are left: how to aim, where to start and how to step.

    ``aim(ids)`` and ``steps(ball, mask, ids)`` belong to the samples ``ids``; ``start(stage, restart, ball, ids)``
    returns where restart 0, 1, ... starts, given the stage's ``number``. With ``early_stop`` a sample leaves once it is
    fooled, and its later restarts are not run. With ``keep_best`` the result is the point of largest margin on the way,
    else the last one. ``worthwhile(ids, margin)`` says which samples (A,) to run on, given the largest margins (A,)
    found before.
    """

    name: str
    aim: Callable[[Tensor], Aim]
    steps: Callable[[Ball, Tensor | None, Tensor], Steps]
    start: Callable[[int, int, Ball, Tensor], Tensor]
    max_iter: int
    restarts: int = 1
    early_stop: bool = True
    keep_best: bool = True
    worthwhile: Callable[[Tensor, Tensor], Tensor] | None = None
    number: int = 0

    @property
    def judged(self) -> bool:
        """Whether it matters which of two examples is the better one."""
        return self.early_stop or self.keep_best or self.restarts > 1


@dataclass
class Results:
    """The best of every sample so far: ``adv`` (N, ...), written in place, its ``margin``, and whether it is fooled."""

    adv: Tensor
    margin: Tensor
    fooled: Tensor
    tainted: Tensor

    @classmethod
    def into(cls, out: Tensor, device: torch.device) -> "Results":
        """Nothing found yet; examples will be written into ``out``, which may be on the host."""
        n = len(out)
        flags = torch.zeros(n, dtype=torch.bool, device=device)
        return cls(out, torch.full((n,), -torch.inf, dtype=torch.float32, device=device), flags, flags.clone())

    def offer(self, ids: Tensor, adv: Tensor, fooled: Tensor, margin: Tensor, instead: Tensor | None = None) -> None:
        """Take over what beats the best of a sample: the first success, and the larger margin among equals.

        ``ids`` must not repeat. What is offered ``instead`` (A,) is taken in any case.
        """
        unmet = (self.margin[ids] == -torch.inf) & ~self.fooled[ids]
        better = (fooled & ~self.fooled[ids]) | ((fooled == self.fooled[ids]) & (margin > self.margin[ids])) | unmet
        better = better if instead is None else better | instead
        self.margin[ids] = torch.where(better, margin, self.margin[ids])
        self.fooled[ids] |= fooled
        host = ids.to(self.adv.device)
        before = self.adv[host].to(adv.device)
        self.adv[host] = torch.where(per_sample(better, adv), adv, before).to(self.adv.device)


def run_stage(problem: Problem, stage: Stage, results: Results) -> None:
    """Run every restart of ``stage``, note in ``results`` what is better; with ``early_stop`` on the unbroken only.

    Restarts run one after the other while they fill batches; when few samples are left, several restarts of each share
    a batch.
    """
    restart = 0
    everyone = torch.arange(problem.n, device=results.fooled.device)
    ids = everyone[~results.fooled] if stage.early_stop else everyone
    if stage.worthwhile is not None:
        ids = ids[stage.worthwhile(ids, results.margin[ids])]
    with tqdm(total=len(ids) * stage.restarts, desc=stage.name, leave=False, disable=problem.hidden) as bar:
        while restart < stage.restarts and len(ids):
            together = max(1, min(stage.restarts - restart, problem.batch_size // len(ids)))
            for start in range(0, len(ids), problem.batch_size):
                Climb(problem, stage, results, ids[start : start + problem.batch_size], restart, together).run()
                bar.update(together * min(problem.batch_size, len(ids) - start))
            restart += together
            if stage.early_stop:
                ids = ids[~results.fooled[ids]]


class Climb:
    """``together`` restarts of the samples ``ids`` in one batch, from the ``restart``-th on.

    The result is that of the same restarts one after the other: with ``early_stop`` the first restart that fools a
    sample decides, whichever gets there in fewer steps, so restarts after it leave at once and those before it go on.
    """

    def __init__(
        self,
        problem: Problem,
        stage: Stage,
        results: Results,
        ids: Tensor,
        restart: int,
        together: int,
    ) -> None:
        self.problem, self.stage, self.results = problem, stage, results
        self.groups, self.samples = together, len(ids)
        self.ids = ids.repeat(together)
        self.ball = problem.ball(self.ids)
        mask = problem.mask(self.ids)
        self.steps = stage.steps(self.ball, mask, self.ids)
        every = torch.arange(len(self.ids), device=ids.device).view(together, -1)
        starts = [stage.start(stage.number, restart + g, self.ball.take(own), ids) for g, own in enumerate(every)]
        self.adv = torch.cat(starts)
        n, device = len(self.ids), ids.device
        restarts = restart + torch.arange(together, device=device).repeat_interleave(len(ids))
        keys = derive(problem.keys[self.ids.to(problem.keys.device)].to(device), CLIMB, stage.number, restarts)
        self.oracle = Oracle(
            problem.source,
            stage.aim(self.ids),
            problem.expectation,
            keys,
            random=problem.random,
            batch_size=problem.batch_size,
        )
        self.rows = torch.arange(n, device=device)
        self.done = torch.zeros(n, dtype=torch.bool, device=device)
        # The first restart in this batch that has fooled each sample.
        self.first = torch.full((self.samples,), together, device=device)
        # What is proposed as a result, and how good it looked from the step that met it.
        self.best = self.adv
        self.best_fooled = self.done.clone()
        self.best_margin = torch.full((n,), -torch.inf, dtype=torch.float32, device=device)

    def run(self) -> None:
        """Climb to the end, and offer the outcome of every sample."""
        stage = self.stage
        looks = 1 if self.adv.device.type == "cpu" and not self.problem.random else LOOK_EVERY
        for i in range(stage.max_iter):
            standing = self.stand(i)
            self.propose(standing)
            if stage.early_stop and i % looks == 0:
                left = self.drop_fooled()
                if not len(self.rows):
                    return
                standing = standing if left is None else standing.take(left)
            elif self.problem.random and stage.keep_best and i % looks == looks - 1:
                self.settle_proposals()
            self.adv = self.steps.next(i, self.adv, standing)
        self.finish()

    def stand(self, i: int) -> Standing:
        """Where the samples stand before step ``i``, without a gradient if the step takes none."""
        if self.steps.takes_gradient(i):
            return self.oracle.evaluate(self.adv, self.rows)
        fooled, margin = self.oracle.judge(self.adv, self.rows)
        return Standing(torch.zeros_like(self.adv), margin, fooled, margin)

    def propose(self, standing: Standing) -> None:
        """Remember the best point met: the first that fools, or with ``keep_best`` that of the largest margin."""
        better = standing.fooled & ~self.best_fooled
        if self.stage.keep_best:
            better |= (standing.fooled == self.best_fooled) & (standing.margin > self.best_margin)
        self.best = torch.where(per_sample(better, self.adv), self.adv, self.best)
        self.best_margin = torch.where(better, standing.margin, self.best_margin)
        self.best_fooled = self.best_fooled | better & standing.fooled

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
        if self.problem.trusted:
            return adv, self.best_fooled[rows] & finite, self.best_margin[rows]
        return adv, *self.oracle.judge(adv, self.rows[rows])

    def finished(self, adv: Tensor, ball: Ball) -> Tensor:
        """Exactly inside the ball, and in 8 bits if asked."""
        adv = ball.settle(adv)
        return to_levels(adv, ball) if self.problem.quantize else adv

    def finish(self) -> None:
        """Offer what is left: the last point, or the best."""
        adv = self.finished(self.adv, self.steps.ball)
        rows = torch.arange(len(self.rows), device=self.rows.device)
        if self.stage.judged:
            fooled, margin = self.oracle.judge(adv, self.rows)
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
        if self.groups == 1:
            self.results.offer(self.ids[rows], adv, fooled, margin)
            self.first[self.rows[rows[fooled]]] = 0
            return
        for group in range(self.groups):
            place = self.rows[rows] % self.samples
            own = self.rows[rows] // self.samples == group
            if self.stage.early_stop:
                own &= group <= self.first[place]  # later restarts would not have been run
            place, wins = place[own], fooled[own]
            earlier = wins & (group < self.first[place])
            instead = earlier & (self.first[place] < self.groups) if self.stage.early_stop else None
            self.results.offer(self.ids[rows][own], adv[own], wins, margin[own], instead)
            self.first[place[earlier]] = group

    def note_tainted(self) -> None:
        """Note which samples met a non-finite gradient."""
        self.results.tainted[self.ids[self.steps.tainted.isnan()]] = True  # a sample may be here once per restart
