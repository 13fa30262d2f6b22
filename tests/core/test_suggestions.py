"""A misspelt argument of a public callable gets the nearest name, also under the word of another library."""

import pytest
import torch

from art_domainrand import FGSM, PGD, DomainGenerator, DomainRandomization, PerturbationGenerator
from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.core.arguments import nearest


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
        (lambda: DomainGenerator(witdh=3), "width"),
        (lambda: DomainGenerator().fit(None, None, epoch=3), "epochs"),
        (lambda: DomainGenerator.load("file", sevrity=3), "severity"),
        (lambda: PerturbationGenerator(None, epoch=3), "epochs"),
        (lambda: PerturbationGenerator.load("file", classifier=3), "estimator"),
    ],
)
def test_the_nearest_name_is_said(call, nearest):
    with pytest.raises(TypeError, match=f"unexpected keyword argument .*; did you mean '{nearest}'"):
        call()


@pytest.mark.parametrize(
    ("call", "where"),
    [
        (lambda: DomainGenerator(epochs=3), "the method fit takes it"),
        (lambda: DomainGenerator(seed=3), "the method fit takes it"),
        (lambda: PerturbationGenerator.fit(None, None, epochs=3), r"PerturbationGenerator\(\.\.\.\) takes it"),
        (lambda: PerturbationGenerator.fit(None, None, seed=3), r"PerturbationGenerator\(\.\.\.\) takes it"),
    ],
)
def test_what_stands_elsewhere_is_said(call, where):
    with pytest.raises(TypeError, match=f"unexpected keyword argument .*; {where}$"):
        call()


def test_all_variants_of_a_name_are_said():
    with pytest.raises(ValueError, match=r"got 'idbh'; did you mean 'idbh_weak' or 'idbh_strong'\?$"):
        R.preset("idbh")
    assert nearest("eps", ["eps_step", "x"]) == "; did you mean 'eps_step'?"
    assert nearest("a", [f"a_{number}" for number in range(9)]) == ""
