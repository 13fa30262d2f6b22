"""The published algorithms against adversarial-library's, and the portfolio against them, on the same model."""

import numpy as np
import pytest
import torch

from art_domainrand import MinimumNorm

from support.attacks import RowWise, predicted, some_images
from support.estimators import wrap

STEPS = 200


def peers():
    """Name and norm -> the peer's images."""
    attacks = pytest.importorskip("adv_lib.attacks", reason="adversarial-library is not installed")
    return {
        ("ddn", 2): lambda *a: attacks.ddn(*a, steps=STEPS, levels=None),
        ("sigma_zero", 0): lambda *a: attacks.sigma_zero(*a, num_steps=STEPS),
        **{("fmn", p): lambda *a, p=p: attacks.fmn(*a, norm=p, steps=STEPS) for p in (0, 1, 2, np.inf)},
        **{("pdpgd", p): lambda *a, p=p: attacks.pdpgd(*a, norm=p, num_steps=STEPS) for p in (1, 2, np.inf)},
    }


PAIRS = [
    ("ddn", 2),
    ("sigma_zero", 0),
    *(("fmn", p) for p in (0, 1, 2, np.inf)),
    *(("pdpgd", p) for p in (1, 2, np.inf)),
]


@pytest.mark.parametrize(("algorithm", "norm"), PAIRS)
def test_alone_each_is_as_near_as_the_peers_and_together_they_are_nearer(algorithm, norm):
    run = peers()[algorithm, norm]
    classifier, x = wrap(RowWise()), some_images(12)
    y = predicted(classifier, x)
    torch.manual_seed(0)
    images = run(RowWise(), torch.from_numpy(x), torch.from_numpy(y)).detach().numpy()
    change = (images.astype(np.float64) - x).reshape(len(x), -1)
    theirs = np.where(predicted(classifier, images) != y, np.linalg.norm(change, norm, axis=1), np.inf)
    alone = MinimumNorm(classifier, norm, STEPS, algorithm=algorithm, seed=0, verbose=False).find(x, y).distances
    assert np.median(alone / theirs) < 1.02
    assert alone.mean() < 1.03 * theirs.mean()
    ours = MinimumNorm(classifier, norm, STEPS, seed=0, verbose=False).find(x, y).distances
    assert ours.mean() < 1.005 * theirs.mean()
