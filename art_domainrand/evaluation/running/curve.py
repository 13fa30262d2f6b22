"""A curve over eps at little more than the price of one attack.

It goes down from the largest eps. Who stands there counts as standing at every smaller one. The example of a sample
that falls is pulled back along the line to its image, to the smallest eps of the curve at which it still fools, and the
attack goes on at the eps below, until it fails: so a sample pays for one attack that fails, and for some that stop
early. An example counts at every larger eps, so that no curve ever rises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from art_domainrand.core.arrays import Array
from art_domainrand.evaluation.running.approach import approach
from art_domainrand.evaluation.running.block import Block, like, pulled_back
from art_domainrand.evaluation.running.judge import Judge, Judgement
from art_domainrand.evaluation.running.passes import Meter, Passes
from art_domainrand.evaluation.running.performance import Changed

Attack: TypeAlias = Callable[[Block, Any], Array]
"""From samples and a radius, or one of each (n,), to their adversarial images, wherever these lie."""


@dataclass(frozen=True)
class HowAttacked:
    """What may be done with an attack on a curve.

    :param order: of the norm.
    :param nearest: whether it looks for the nearest example and does not heed the radius.
    :param approached: whether examples may be brought nearer by steps that are not its own, so that it is needed less.
    :param each: whether it takes a radius for each sample, so that all can be attacked at once.
    """

    order: float
    nearest: bool = False
    approached: bool = False
    each: bool = False


class Descent:
    """The curve of a block of samples; the images and judgements of every radius are filled in.

    :param attack: finds examples.
    :param judge: says whether they fool.
    :param meter: counts what that takes.
    :param block: the samples, all of which are attacked.
    :param radii: the radii, falling, > 0.
    :param how: what may be done with the attack.
    """

    def __init__(
        self, attack: Attack, judge: Judge, meter: Meter, block: Block, radii: Sequence[float], how: HowAttacked
    ) -> None:
        self.attack, self.judge, self.meter, self.block, self.how = attack, judge, meter, block, how
        self.radii = np.asarray(radii, dtype=np.float64)
        self.levels, self.n = len(radii), len(block)
        self.images = np.repeat(block.x[None], self.levels, axis=0)
        blank = np.zeros((judge.predictions, self.levels * self.n))
        self.said = Judgement(blank.astype(np.int64), blank.astype(bool), blank, blank.copy())
        self.forwards, self.backwards = np.zeros((2, self.levels, self.n))
        self.examples = block.x.copy()
        # The last radius of which it is known that the sample falls there, and whether it stands at all that follow.
        self.broken = np.full(self.n, -1)
        self.settled = np.zeros(self.n, bool)

    def run(self) -> None:
        """Fill in everything."""
        if self.how.approached and not self.judge.random and self.levels > 1:
            self._approach(np.arange(self.n))
        while len(active := np.flatnonzero(~self.settled & (self.broken < self.levels - 1))):
            self._descend(active)

    def _descend(self, active: NDArray[Any]) -> None:
        """Attack samples, each at the radius below those where it falls, and see how far down its example goes."""
        level = self.broken[active] + 1
        self._find(level, active)
        shown = self.pulled(active, level)
        judgement = self._judged(level, active, shown)
        fooled = ~judgement.right.all(0)
        self._write(level, active, shown, judgement)
        self.broken[active] = np.where(fooled, level, level - 1)
        if not self.judge.random and fooled.any():
            (self._approach if self.how.approached else self._follow)(active[fooled])
        self._settle(level[~fooled], active[~fooled])

    def _find(self, level: NDArray[Any], active: NDArray[Any]) -> None:
        if self.how.nearest:
            level, active = level[level == 0], active[level == 0]  # what was found before is the nearest already
        for one in [level] if self.how.each else np.unique(level):
            which = active[level == one]
            if len(which):
                radius, some = self.radii[one], self.block.take(which)
                found, passes = self.meter.measured(partial(self.attack, some, radius), len(which))
                self._spend(one, which, passes)
                self.examples[which] = found

    def _follow(self, broken: NDArray[Any]) -> None:
        """Find by bisection the smallest radius at which the examples of samples, on their line, still fool."""
        start = self.broken[broken]
        low, high = start.copy(), np.full(len(broken), self.levels - 1)
        best, judgement = self.examples[broken].copy(), self.said.take(start * self.n + broken)
        while len(of := np.flatnonzero(low < high)):
            middle = (low[of] + high[of] + 1) // 2
            shown = self.pulled(broken[of], middle)
            found = self._judged(middle, broken[of], shown)
            fooled = ~found.right[0]
            low[of] = np.where(fooled, middle, low[of])
            high[of] = np.where(fooled, high[of], middle - 1)
            best[of[fooled]] = shown[fooled]
            judgement.put(of[fooled], found.take(fooled))
        self._reach(broken, low, best, judgement)

    def _approach(self, broken: NDArray[Any]) -> None:
        """Bring samples, or the examples of those that fall already, nearer; and believe what the judge confirms."""
        start, some = self.broken[broken], self.block.take(broken)
        given = np.where(like(start < 0, some.x), some.x, self.images[start, broken])
        (images, reached), passes = self.meter.measured(
            lambda: approach(self.judge.estimator, some, given, start, self.radii.tolist(), self.how.order), len(broken)
        )
        self._spend(np.maximum(start, 0), broken, passes)
        moved = np.flatnonzero(reached > start)
        judgement = self._judged(reached[moved], broken[moved], images[moved])
        confirmed = ~judgement.right[0]
        moved = moved[confirmed]
        self._reach(broken[moved], reached[moved], images[moved], judgement.take(confirmed))

    def _reach(self, which: NDArray[Any], reached: NDArray[Any], images: Array, judgement: Judgement) -> None:
        """Let samples fall at every radius from where they are known to, to the one that their images have reached."""
        start = self.broken[which]
        for level in range(self.levels):
            between = (start < level) & (level <= reached)
            self._write(level, which[between], images[between], judgement.take(between))
        self.broken[which] = reached

    def _settle(self, level: NDArray[Any], standing: NDArray[Any]) -> None:
        """Let samples stand at every smaller radius, unless their examples fool on the way back after all."""
        self.settled[standing] = True
        for below in range(1, self.levels):
            which = standing[level < below]
            shown = self.pulled(which, below)
            judgement = self._judged(below, which, shown)
            self._write(below, which, shown, judgement)
            fooled = ~judgement.right[0] & (not self.judge.random)
            if fooled.any():
                self._reach(which[fooled], np.full(fooled.sum(), below), shown[fooled], judgement.take(fooled))
                self.settled[which[fooled]] = False

    def pulled(self, which: NDArray[Any], level: Any) -> Array:
        """The examples of samples, on the line to their images no farther than the radius ``level`` of each."""
        return pulled_back(self.block.x[which], self.examples[which], self.radii[level], self.how.order)

    def judgement(self, level: int) -> Judgement:
        """What is said of the images at a radius."""
        return self.said.take(np.arange(level * self.n, (level + 1) * self.n))

    def _judged(self, level: Any, which: NDArray[Any], images: Array) -> Judgement:
        some = self.block
        found, passes = self.meter.measured(
            lambda: self.judge.verdict(images, some.samples[which], some.y[which]), len(which)
        )
        self._spend(level, which, passes)
        return found

    def _write(self, level: Any, which: NDArray[Any], images: Array, judgement: Judgement) -> None:
        self.images[level, which] = images
        self.said.put(level * self.n + which, judgement)

    def _spend(self, level: Any, which: NDArray[Any], passes: Passes) -> None:
        """Book passes of samples on a radius, or on one of each sample's own."""
        self.forwards[level, which] += passes.forwards
        self.backwards[level, which] += passes.backwards


def attack_down(
    attack: Attack, judge: Judge, meter: Meter, block: Block, radii: Sequence[float], how: HowAttacked
) -> list[Changed]:
    """The images of a block at every radius, in the order of ``radii``, and what the model says of them.

    Samples that are wrong already are not attacked: they are broken at distance 0.

    :param attack: finds adversarial images for samples at a radius.
    :param judge: asks the model.
    :param meter: counts passes.
    :param block: the samples.
    :param radii: >= 0, in the units of pixels.
    :param how: what may be done with the attack.
    """
    clean, passes = meter.measured(lambda: judge.verdict(block.x, block.samples, block.y), len(block))
    (attacked,) = np.nonzero(clean.right.any(0))
    falling = sorted({float(radius) for radius in radii if radius > 0}, reverse=True)
    found = Descent(attack, judge, meter, block.take(attacked), falling, how)
    found.run()
    changed = []
    for place, radius in enumerate(radii):
        images, judgement, spent = block.x, clean, Passes.none(len(block))
        if radius > 0:
            level = falling.index(float(radius))
            images, judgement = block.x.copy(), clean.copy()
            images[attacked] = found.images[level]
            judgement.put(attacked, found.judgement(level))
            if float(radius) not in [float(other) for other in radii[:place]]:
                spent = Passes(found.forwards[level], found.backwards[level]).spread(attacked, len(block))
        # A random model is asked about all samples at once, so that it draws for them what it drew for the clean ones.
        said = None if judge.random else judgement
        changed.append(Changed(images, block.x, spent + passes if place == 0 else spent, verdict=said))
    return changed
