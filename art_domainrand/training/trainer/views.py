"""The views of a batch that an objective is made of: clean, randomized and adversarial images, on the device."""

from __future__ import annotations

import math
from typing import Any

import torch
from art.estimators.classification.pytorch import PyTorchClassifier
from torch import Tensor

from art_domainrand.core.memory import onto
from art_domainrand.core.pixels import ClipRange
from art_domainrand.core.random import ATTACK, DRAW, keys_of, seed_of
from art_domainrand.preprocessors.domain_randomization import DomainRandomization
from art_domainrand.randomization.core.draw import Draw
from art_domainrand.randomization.core.pipeline import Pipeline
from art_domainrand.randomization.core.sampling import keyed_draws
from art_domainrand.training.data.epochs import SampleKeys, Samples
from art_domainrand.training.trainer.objectives import Views
from art_domainrand.training.trainer.options import TrainingOptions
from art_domainrand.training.trainer.ranges import Ranges


class ViewMaker:
    """Makes the views of each batch, under the curricula of eps and ranges.

    Draws are functions of the epoch's seed and of what a sample is known by, so neither batch size nor the number of
    processes changes them; so are the starts of ``attack`` (see :func:`training_attack`), which hang on the pixels
    it is given.
    """

    def __init__(
        self,
        classifier: PyTorchClassifier,
        attack: Any,
        pipeline: Pipeline | None,
        options: TrainingOptions,
        ranges: Ranges,
    ) -> None:
        self.options, self.pipeline, self.device = options, pipeline, classifier.device
        self.randomization = None if pipeline is None else DomainRandomization.for_estimator(classifier, pipeline)
        self.limits = None if pipeline is None else ClipRange(classifier.clip_values)
        self.ranges = ranges
        self.attack = attack
        self.reach = {name: getattr(attack, name) for name in attack.reach}
        self.seed = 0
        self.even: Draw | None = None  # this process's rows of the last batch's first draw, before it was placed

    def begin_epoch(self, number: int, seed: int) -> float:
        """Take the seed of an epoch; move the curricula on. Returns the share of eps that is reached."""
        self.seed = seed
        warm = min(1.0, (number + 1) / (self.options.eps_epochs + 1))
        for name, full in self.reach.items():
            setattr(self.attack, name, full * warm)
        self.attack.seed, self.attack._eps_drawn = seed_of(seed, ATTACK), 0
        if self.ranges.scheduled:
            self.ranges.warm_up(min(1.0, (number + 1) / (self.options.range_epochs + 1)))
        return warm

    def make(self, samples: Samples, draws: int, attacked: float) -> Views:
        """This process's rows of a batch.

        :param draws: how many draws of the pipeline are to be seen, 1 or 2.
        :param attacked: the share of the rows, the first ones, that the attack changes.
        """
        if self.limits is not None:
            self.limits.check(samples.x)  # on the host, where nobody waits for the device
        assert isinstance(samples.y, Tensor)
        clean, labels = onto(self.device, samples.x).to(torch.float32), onto(self.device, samples.y)
        if self.options.channels_last and clean.dim() == 4:
            clean = clean.contiguous(memory_format=torch.channels_last)
        seen = [self.randomized(clean, samples.keys, samples.rows, draw) for draw in range(draws)]
        count = math.ceil(len(clean) * attacked)
        targets = (seen[0] if "eps" in self.reach else clean)[:count]
        adversarial = self.attack.perturb(targets, labels[:count]) if count else targets
        return Views(clean, seen[0], seen[1] if len(seen) > 1 else None, adversarial, labels)

    def randomized(self, clean: Tensor, keys: SampleKeys, rows: Tensor, number: int) -> Tensor:
        """The images under a draw; it is placed in the ranges for the whole batch, which may learn from all of it."""
        if self.randomization is None or self.pipeline is None:
            return clean
        draw = keyed_draws(self.pipeline, keys_of(self.seed, DRAW, keys.ids, keys.times, number))
        if number == 0 and self.ranges.follows:
            self.even = draw[rows.to(draw.u.device)]
        draw = self.ranges.place(draw)[rows].to(self.device)
        with torch.no_grad():
            return self.randomization.randomize(clean, draw)
