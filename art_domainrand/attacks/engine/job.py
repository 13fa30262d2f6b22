"""One call of an attack, made into a problem that a search can run on: which samples, balls, starts and draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from art.estimators.classification.pytorch import PyTorchClassifier
from torch import Tensor

from art_domainrand.attacks.engine.aim import UNSATURATED, Aim
from art_domainrand.attacks.engine.oracle import Expectation, Oracle
from art_domainrand.attacks.engine.quantize import levels_of
from art_domainrand.attacks.engine.randomness import is_random
from art_domainrand.attacks.engine.search import Problem
from art_domainrand.attacks.engine.starts import Starts
from art_domainrand.attacks.options import view_through
from art_domainrand.core import checks as check
from art_domainrand.core.losses import log_odds
from art_domainrand.core.norms import Ball, Size, ball, rows_of
from art_domainrand.core.random import derive, image_keys
from art_domainrand.estimators import Gradients, has_cross_entropy


@dataclass(frozen=True)
class Job:
    """The ``problem``, and what its stages are made of: labels ``y`` (N, K), step ``size`` and random ``starts``."""

    problem: Problem
    x: Tensor
    y: Tensor
    targeted: bool
    size: Size
    starts: Starts
    has_cross_entropy: bool

    @classmethod
    def of(
        cls,
        attack: Any,
        source: Gradients,
        x: Tensor,
        y: Tensor,
        mask: Tensor | None,
        box: tuple[Tensor | None, Tensor | None],
        radius: Any,
        step: Any,
    ) -> Job:
        """The job of ``attack``, an object with the attributes of :class:`~art_domainrand.PGD`, on checked inputs."""
        device, shape, norm = source.device, tuple(x.shape), check.norm_order(attack.norm)
        eps = check.sizes_for("eps", radius, norm, shape)
        size = check.sizes_for("eps_step", step, norm, shape)
        low, high = (None if bound is None else bound.to(device) for bound in box)

        def ball_of(ids: Tensor) -> Ball:
            return ball(norm, at(x, ids).to(device), on(rows_of(eps, x, ids.cpu()), device), low, high)

        def mask_of(ids: Tensor) -> Tensor | None:
            part = None if mask is None else rows_of(mask, x, ids.to(mask.device))
            return part.to(device) if isinstance(part, Tensor) else None

        view = view_through(attack.randomization, attack.estimator)
        random = view is not None or is_random(source, x, attack.batch_size)
        keys = call_keys(x, attack, draws=random or norm == 1)
        starts = Starts(norm, shape, eps, device, None if attack.seed is None else keys, lambda rows: slice(0, len(x)))
        if attack.quantize:  # say so before the work, not after
            for first in range(0, len(x), attack.batch_size):
                levels_of(ball_of(torch.arange(first, min(first + attack.batch_size, len(x)), device=device)))
        as_predicted = type(attack.estimator).predict is PyTorchClassifier.predict
        problem = Problem(
            source=source,
            n=len(x),
            ball=ball_of,
            mask=mask_of,
            expectation=Expectation(attack.eot_samples, view, attack.eot_draws),
            random=random,
            trusted=as_predicted
            and not (random or attack.quantize or attack.autocast or attack.compile)
            and not attack.estimator.postprocessing_defences,
            quantize=attack.quantize,
            batch_size=attack.batch_size,
            hidden=not getattr(attack, "verbose", False),
            keys=keys,
        )
        return cls(
            problem,
            x,
            y.to(device),
            attack.targeted,
            on(size, device, x.dtype),
            starts,
            has_cross_entropy(attack.estimator),
        )

    @cached_property
    def clean_scores(self) -> Tensor:
        """The class scores of the originals (N, K), as the attack sees them."""
        problem, parts = self.problem, []
        for first in range(0, len(self.x), problem.batch_size):
            ids = torch.arange(first, min(first + problem.batch_size, len(self.x)), device=self.y.device)
            keys = at(problem.keys, ids).to(self.y.device)
            oracle = Oracle(problem.source, Aim(self.y[ids], 1), problem.expectation, keys, random=problem.random)
            parts.append(oracle.clean_scores(at(self.x, ids).to(self.y.device)))
        return torch.cat(parts)

    def named(self, loss: Any) -> Any:
        """A loss by its name, where the estimator's own (None) is the cross-entropy: both are then one computation."""
        return "cross_entropy" if loss is None and self.has_cross_entropy else loss

    def unsaturated(self, loss: Any) -> Any:
        """Cross-entropy, for each sample whose label is a single class, as what climbs alike and never saturates.

        Over several draws the mean of cross-entropies climbs otherwise than the mean of log-odds: it stays.
        """
        loss = self.named(loss)
        replaced = loss == "cross_entropy" and self.problem.expectation.samples == 1
        if not (isinstance(loss, str) and replaced):
            return loss
        return log_odds if self.one_class_each else UNSATURATED

    @cached_property
    def one_class_each(self) -> bool:
        """Whether all labels are single classes, not distributions over several."""
        return bool((self.y.amax(1) == 1).all())

    def aim(self, loss: Any) -> Any:
        """The function from samples to what is wanted of them."""
        sign = -1 if self.targeted else 1
        return lambda ids: Aim(self.y[ids], sign, loss)

    def sizes(self, ids: Tensor) -> Size:
        """The step sizes of some samples."""
        return rows_of(self.size, self.x, ids)

    def start(self, *, at_random: bool) -> Any:
        """Where a restart starts: at the original, or uniformly in the ball."""

        def chosen(stage: int, restart: int, around: Ball, ids: Tensor) -> Tensor:
            if not at_random:
                return around.origin()
            noise = self.starts.of(ids, restart, stage)
            mask = self.problem.mask(ids)
            return around.start(noise if mask is None else noise * mask)

        return chosen


def call_keys(x: Tensor, attack: Any, *, draws: bool = True) -> Tensor:
    """The key of each image of ``x`` (N, ...) in this call of ``attack``, on the device of ``x``.

    Without a seed ART's global generator decides, by one number, where the call ``draws`` anything.
    """
    seed = attack.seed
    if seed is None:
        seed = int(np.random.randint(2**31)) if draws else 0  # noqa: NPY002
    return derive(image_keys(x), int(seed), attack._round)


def at(x: Tensor, ids: Tensor) -> Tensor:
    """The rows ``ids`` of ``x``, which may be on another device."""
    return x[ids.to(x.device)]


def on(size: Size, device: torch.device, dtype: torch.dtype | None = None) -> Size:
    """Move a tensor of sizes to the device; a plain number stays one."""
    return size.to(device, dtype) if isinstance(size, Tensor) else size
