"""``batch_size`` bounds every call of the model, whatever it is for: probes, copies, restarts, judging."""

import numpy as np
import pytest
import torch
from torch import nn

from art_domainrand import (
    FGSM,
    PGD,
    AutoPGD,
    CompositeAttack,
    DomainAttack,
    DomainRandomization,
    MinimumNorm,
    StrongestAttack,
)
from art_domainrand.attacks.engine.evaluator import slices
from art_domainrand.randomization import Brightness, Rotation

from support.attacks import RowWise, predicted, some_images
from support.estimators import wrap

DOMAIN = [Rotation((-20, 20)), Brightness((-0.2, 0.2))]
QUIET = {"seed": 0, "verbose": False}
SMALL = {"eps": 0.05, "eps_step": 0.02, "max_iter": 3, **QUIET}
ATTACKS = {
    "FGSM": lambda c, b: FGSM(c, eps=0.1, num_random_init=2, batch_size=b, seed=0),
    "PGD": lambda c, b: PGD(c, num_random_init=3, batch_size=b, **SMALL),
    "restarts together": lambda c, b: PGD(c, num_random_init=5, early_stop=True, loss="margin", batch_size=b, **SMALL),
    "copies": lambda c, b: PGD(c, randomization=DOMAIN, eot_samples=6, keep_best=True, batch_size=b, **SMALL),
    "AutoPGD": lambda c, b: AutoPGD(c, eps=0.05, max_iter=5, nb_random_init=2, batch_size=b, **QUIET),
    "targeted DLR": lambda c, b: AutoPGD(c, eps=0.05, max_iter=3, loss_type="targeted_dlr", batch_size=b, **QUIET),
    "strongest": lambda c, b: StrongestAttack(c, eps=0.05, budget="quick", eot_samples=2, batch_size=b, **QUIET),
    "minimum": lambda c, b: MinimumNorm(c, max_iter=12, eot_samples=2, batch_size=b, **QUIET),
    "domain": lambda c, b: DomainAttack(c, DOMAIN, evaluations=9, batch_size=b, **QUIET),
    "composite": lambda c, b: CompositeAttack(c, DOMAIN, eps=0.1, max_iter=3, evaluations=9, batch_size=b, **QUIET),
}


class AtMost(nn.Module):
    """A model for so many images at a time, as one exported with a fixed batch is."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.net, self.rows = RowWise(), rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert len(x) <= self.rows, f"{len(x)} images at a time"
        return self.net(x)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("random", [False, True])
def test_the_model_is_never_shown_more(name, rows, random):
    view = [DomainRandomization(DOMAIN, apply_predict=True, seed=0, device_type="cpu")] if random else None
    x = some_images(3)
    y = predicted(wrap(RowWise()), x)
    adv = ATTACKS[name](wrap(AtMost(rows), preprocessing_defences=view), rows).generate(x, y)
    assert (adv != x).any()


def test_without_labels_too():
    x = some_images(6)
    assert (PGD(wrap(AtMost(2)), batch_size=2, **SMALL).generate(x) != x).any()


@pytest.mark.parametrize(
    ("n", "copies", "bound"), [(1, 16, 6), (4, 3, 12), (1, 7, 3), (1, 5, 1), (5, 4, 9), (3, 2, 99)]
)
def test_copies_are_cut_into_equal_parts(n, copies, bound):
    """All of a sample's copies lie in one part, or in parts of equal size, so that they weigh alike."""
    parts = slices(n, copies, bound, torch.zeros(n, 1))
    assert np.concatenate([np.arange(n * copies)[part] for part in parts]).tolist() == list(range(n * copies))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) <= bound
    assert len(set(sizes)) == 1 or all(size % copies == 0 for size in sizes)
