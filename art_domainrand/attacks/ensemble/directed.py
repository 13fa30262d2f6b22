"""Starts that climb a random mix of the scores first, so that each restart sets out for another corner of the ball."""

from dataclasses import replace

import torch
from torch import Tensor

from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.engine.best import Which
from art_domainrand.attacks.engine.stage import Start
from art_domainrand.attacks.engine.steps import PGDSteps, as_size
from art_domainrand.core.norms import Ball
from art_domainrand.core.random import CLIMB, derive, uniform

# A3 (Liu et al. 2022, section 3.2, and its authors' code): steps of eps, weights of the class aimed at, and between
# what bounds the label's own weight lies where that class shall rise, and where it shall fall.
DIRECTED_STEPS, AIMED = 7, 0.8
LABEL_RISING, LABEL_FALLING = (-0.5, 0.1), (-0.1, 0.5)
# How many classes are aimed at in turn.
TOP_CLASSES = 9
WEIGHTS = 1 << 21  # what the random weights are for


def mixed_weights(keys: Tensor, labels: Tensor, aimed: Tensor, sign: int, classes: int) -> Tensor:
    """Weights (B, K) of the scores: uniform in (-1, 1), but for the label's and that of the class ``aimed`` at (B,).

    :param keys: (B,), one for each sample.
    :param labels: class indices (B,).
    :param sign: 1 where the class aimed at shall rise, -1 where it shall fall.
    :param classes: K; the two weights grow with it, as K / 10 (not less than for ten).
    """
    numbers = uniform(keys, (classes + 1,))
    low, high = LABEL_RISING if sign > 0 else LABEL_FALLING
    scale = max(1.0, classes / 10)
    own = scale * (low + (high - low) * numbers[:, -1:])
    weights = (2 * numbers[:, :-1] - 1).scatter(1, labels.unsqueeze(1), own)
    return weights.scatter(1, aimed.unsqueeze(1), sign * AIMED * scale)


def directed_start(balls: Balls, turn: int, sign: int, *, samples: int | None = None) -> Start:
    """A random point of the ball, and from there steps of eps that climb a random mix of the scores.

    :param turn: which of the other classes, by falling score of the original, has the largest weight; they come round.
    :param sign: 1 where that class shall rise, -1 where it shall fall.
    :param samples: draws per gradient, if not what the user says.
    """
    inputs = balls.inputs
    at_random = balls.start(at_random=True)

    def chosen(number: int, restart: int, around: Ball, which: Which) -> Tensor:
        adv, path = at_random(number, restart, around, which), (number, restart)
        criterion, clean = inputs.criterion(which), inputs.clean(TOP_CLASSES)
        labels, rivals = criterion.y.argmax(1), clean.rivals[which]
        keys = derive(inputs.keys_of(which), CLIMB, *path, WEIGHTS)
        aimed = rivals[:, (turn + restart) % rivals.shape[1]]
        weights = inputs.sign * mixed_weights(keys, labels, aimed, sign, clean.classes)
        mixed = replace(criterion, weights=weights)
        evaluator = inputs.evaluator(which, mixed, CLIMB, *path, WEIGHTS, samples=samples)
        steps = PGDSteps(around, inputs.mask_of(which), as_size(around.eps, adv))
        rows = torch.arange(len(adv), device=adv.device)
        for i in range(DIRECTED_STEPS):
            found = evaluator.evaluate(adv, rows)
            adv = steps.next(i, adv, found.gradient, found.value)
        return adv

    return chosen
