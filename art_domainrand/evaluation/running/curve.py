"""A curve over eps at little more than the price of one attack.

It goes down from the largest eps. Who stands there counts as standing at every smaller one. The example of a sample
that falls is pulled back along the line to its image, to the smallest eps of the curve at which it still fools, and the
attack goes on at the eps below, until it fails: so a sample pays for one attack that fails, and for some that stop
early. An example counts at every larger eps, so that no curve ever rises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from art_domainrand.core.arrays import Array
from art_domainrand.evaluation.running.block import Block
from art_domainrand.evaluation.running.distances import lengths
from art_domainrand.evaluation.running.judge import Judge, Judgement
from art_domainrand.evaluation.running.passes import Meter, Passes
from art_domainrand.evaluation.running.performance import Changed

Attack: TypeAlias = Callable[[Block, float], Array]
"""From samples and a radius to their adversarial images, wherever these lie."""

# By what share an example may lie outside its ball: attacks overshoot by the rounding of float32.
BALL_SLACK = 1e-4


@dataclass
class Descent:
    """The curve of a block of samples: ``radii`` fall; the images and verdicts of every radius are filled in.

    :param attack: finds examples.
    :param judge: says whether they fool.
    :param meter: counts what that takes.
    :param block: the samples, all of which are attacked.
    :param radii: the radii, falling, > 0.
    :param order: of the norm.
    :param nearest: whether the attack looks for the nearest example and does not heed the radius.
    """

    attack: Attack
    judge: Judge
    meter: Meter
    block: Block
    radii: Sequence[float]
    order: float
    nearest: bool

    def __post_init__(self) -> None:
        n = len(self.block)
        self.images = [self.block.x.copy() for _ in self.radii]
        empty = np.zeros((self.judge.predictions, n))
        blank = Judgement(empty.astype(np.int64), empty.astype(bool), empty, empty)
        self.verdicts = [blank.copy() for _ in self.radii]
        self.passes = [Passes.none(n) for _ in self.radii]
        self.examples = self.block.x.copy()
        # The last radius of which it is known that the sample falls there, and whether it stands at all that follow.
        self.broken = np.full(n, -1)
        self.settled = np.zeros(n, bool)

    def run(self) -> None:
        """Fill in everything."""
        for level in range(len(self.radii)):
            (active,) = np.nonzero(~self.settled & (self.broken == level - 1))
            if len(active):
                self._descend(level, active)

    def _descend(self, level: int, active: NDArray[Any]) -> None:
        """Attack samples at one radius and see how far down the line the examples go."""
        self._find(level, active)
        shown = self.pulled(active, level)
        verdict = self._judged(level, active, shown)
        fooled = ~verdict.right.all(0)
        self._write(level, active, shown, verdict)
        self.broken[active[fooled]] = level
        if not self.judge.random:
            self._follow(level, active[fooled])
        self._settle(level, active[~fooled])

    def _find(self, level: int, active: NDArray[Any]) -> None:
        if self.nearest and level:
            return  # what was found before is the nearest already
        some = self.block.take(active)
        found, passes = self.meter.measured(lambda: self.attack(some, self.radii[level]), len(active))
        self._spend(level, active, passes)
        self.examples[active] = found

    def _follow(self, level: int, broken: NDArray[Any]) -> None:
        """Find by bisection the smallest radius at which the examples of samples, on their line, still fool."""
        low, high = np.full(len(broken), level), np.full(len(broken), len(self.radii) - 1)
        best = self.examples[broken].copy()
        verdicts = self.verdicts[level].take(broken)
        while (searching := low < high).any():
            (of,) = np.nonzero(searching)
            middle = (low[of] + high[of] + 1) // 2
            shown = self.pulled(broken[of], middle)
            verdict = self._judged(level, broken[of], shown)
            fooled = ~verdict.right[0]
            low[of] = np.where(fooled, middle, low[of])
            high[of] = np.where(fooled, high[of], middle - 1)
            best[of[fooled]] = shown[fooled]
            verdicts.put(of[fooled], verdict.take(fooled))
        for between in range(level + 1, len(self.radii)):
            reached = low >= between
            self._write(between, broken[reached], best[reached], verdicts.take(reached))
        self.broken[broken] = low

    def _settle(self, level: int, standing: NDArray[Any]) -> None:
        """Let samples stand at every smaller radius, unless their examples fool on the way back after all."""
        self.settled[standing] = True
        for below in range(level + 1, len(self.radii)):
            shown = self.pulled(standing, below)
            verdict = self._judged(below, standing, shown)
            self._write(below, standing, shown, verdict)
            if self.judge.random:
                continue
            fooled = ~verdict.right[0]
            for above in range(level, below):
                self._write(above, standing[fooled], shown[fooled], verdict.take(fooled))
            self.broken[standing[fooled]], self.settled[standing[fooled]] = below, False

    def pulled(self, which: NDArray[Any], level: Any) -> Array:
        """The examples of samples, on the line to their images no farther than the radius ``level`` of each."""
        given, radius = self.block.x[which], np.asarray(self.radii)[level]
        change = self.examples[which].astype(np.float64) - given
        length = lengths(change, self.order)
        inside = length <= radius * (1 + BALL_SLACK)
        share = np.where(inside, 1.0, radius / np.where(length > 0, length, 1.0))
        back = (given + change * share.reshape(-1, *[1] * (given.ndim - 1))).astype(np.float32)
        whole: Array = np.where(inside.reshape(-1, *[1] * (given.ndim - 1)), self.examples[which], back)
        return whole

    def _judged(self, level: int, which: NDArray[Any], images: Array) -> Judgement:
        some = self.block
        verdict, passes = self.meter.measured(
            lambda: self.judge.verdict(images, some.samples[which], some.y[which]), len(which)
        )
        self._spend(level, which, passes)
        return verdict

    def _write(self, level: int, which: NDArray[Any], images: Array, verdict: Judgement) -> None:
        self.images[level][which] = images
        self.verdicts[level].put(which, verdict)

    def _spend(self, level: int, which: NDArray[Any], passes: Passes) -> None:
        self.passes[level] = self.passes[level] + passes.spread(which, len(self.block))


def attack_down(
    attack: Attack,
    judge: Judge,
    meter: Meter,
    block: Block,
    radii: Sequence[float],
    *,
    order: float,
    nearest: bool = False,
) -> list[Changed]:
    """The images of a block at every radius, in the order of ``radii``, and what the model says of them.

    Samples that are wrong already are not attacked: they are broken at distance 0.

    :param attack: finds adversarial images for samples at a radius.
    :param judge: asks the model.
    :param meter: counts passes.
    :param block: the samples.
    :param radii: >= 0, in the units of pixels.
    :param order: the order of the norm.
    :param nearest: whether the attack looks for the nearest example and does not heed the radius.
    """
    clean, passes = meter.measured(lambda: judge.verdict(block.x, block.samples, block.y), len(block))
    (attacked,) = np.nonzero(clean.right.any(0))
    falling = sorted({float(radius) for radius in radii if radius > 0}, reverse=True)
    found = Descent(attack, judge, meter, block.take(attacked), falling, order, nearest)
    found.run()
    changed = []
    for place, radius in enumerate(radii):
        images, verdict, spent = block.x, clean, Passes.none(len(block))
        if radius > 0:
            level = falling.index(float(radius))
            images, verdict = block.x.copy(), clean.copy()
            images[attacked] = found.images[level]
            verdict.put(attacked, found.verdicts[level])
            if float(radius) not in [float(other) for other in radii[:place]]:
                spent = found.passes[level].spread(attacked, len(block))
        # A random model is asked about all samples at once, so that it draws for them what it drew for the clean ones.
        said = None if judge.random else verdict
        changed.append(Changed(images, block.x, spent + passes if place == 0 else spent, verdict=said))
    return changed
