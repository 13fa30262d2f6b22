"""The images of a model on which attacks differ: those that a first PGD neither breaks nor leaves far from breaking."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from art_domainrand import PGD

from strength_models import Model


def margins(scores: Tensor, labels: Tensor) -> Tensor:
    """The largest other score over the label's (N,)."""
    own = scores.gather(1, labels[:, None])
    return (scores.scatter(1, labels[:, None], -torch.inf).amax(1, keepdim=True) - own)[:, 0]


def undecided(model: Model, below: float = 0.65) -> Model:
    """The images that PGD-50 on the margin leaves right, at less than ``below`` of their margin."""
    attack = PGD(
        model.estimator, eps=model.eps, eps_step=model.eps / 2, max_iter=50, loss="margin", step_schedule="cosine",
        early_stop=True, batch_size=len(model.x), verbose=False,
    )  # fmt: skip
    adv = torch.as_tensor(attack.generate(model.test.x, model.test.y))
    with torch.no_grad():
        before, after = (margins(model.net(images), model.y) for images in (model.x, adv))
    left = ((after < 0) & (after > below * before)).nonzero()[:, 0]
    return replace(model, test=replace(model.test, x=model.test.x[left], y=model.test.y[left]))
