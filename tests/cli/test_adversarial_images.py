"""Adversarial images as files: in the ball that the record names, and the same ones from the same seed."""

import numpy as np
import pytest
import torch
from torch import nn

from art_domainrand.cli.adversarial_images import write_adversarial
from art_domainrand.evaluation.conditions import Attacked
from art_domainrand.evaluation.sources import open_data
from art_domainrand.loading.estimator import as_estimator


@pytest.mark.parametrize(
    ("condition", "lost"),
    [
        (Attacked("art:DeepFool", 0.01, "l2"), 0),
        (Attacked("art:ProjectedGradientDescent", 0.05, options={"max_iter": 3}), 1),
    ],
)
def test_images_lie_in_the_ball_and_depend_on_the_seed(condition, lost, tmp_path):
    """DeepFool heeds no radius; ART's PGD draws its starts from the global generator."""
    x = np.random.default_rng(0).random((12, 1, 8, 8), dtype=np.float32)
    torch.manual_seed(0)
    estimator = as_estimator(nn.Sequential(nn.Flatten(), nn.Linear(64, 4)).eval(), (1, 8, 8), 4)
    data = open_data((x, estimator.predict(x).argmax(1)))
    written = []
    for folder in ("one", "other"):
        found = write_adversarial(
            tmp_path / folder, estimator, data, np.arange(12), condition, form="npz", seed=0, batch_size=12, about={}
        )
        assert max(getattr(one, condition.norm) for one in found) <= condition.eps * (1 + 1e-4)
        assert (sum(one.after != one.label for one in found) > 0) == bool(lost)
        written.append((tmp_path / folder / "adversarial.npz").read_bytes())
    assert written[0] == written[1]
