"""A misspelt argument of a public callable gets the nearest name, also under the word of another library."""

import pytest
import torch

from art_domainrand import FGSM, PGD, DomainRandomization
from art_domainrand import randomization as R  # noqa: N812


@pytest.mark.parametrize(
    ("call", "nearest"),
    [
        (lambda: R.Rotation(angel=3), "angle"),
        (lambda: R.Uniform(lo=0, high=1), "low"),
        (lambda: R.corrupt(torch.rand(1, 3, 8, 8), "fog", sevrity=2), "severity"),
        (lambda: R.domain_mapping(torch.rand(1, 3, 8, 8), "night", serverity=2), "severity"),
        (lambda: PGD(None, steps=3), "max_iter"),
        (lambda: PGD(None, alpha=3), "eps_step"),
        (lambda: FGSM(model=None), "estimator"),
        (lambda: DomainRandomization([], channel_first=False), "channels_first"),
    ],
)
def test_the_nearest_name_is_said(call, nearest):
    with pytest.raises(TypeError, match=f"unexpected keyword argument .*; did you mean '{nearest}'"):
        call()
