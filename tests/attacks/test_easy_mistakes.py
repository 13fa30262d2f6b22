"""What newcomers get wrong is said where they wrote it: a radius in other units, a pipeline that is none."""

import warnings

import numpy as np
import pytest

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
from art_domainrand.randomization import Brightness

SEEN_THROUGH = {
    "FGSM": lambda e, pipeline: FGSM(e, randomization=pipeline),
    "PGD": lambda e, pipeline: PGD(e, randomization=pipeline),
    "AutoPGD": lambda e, pipeline: AutoPGD(e, randomization=pipeline),
    "StrongestAttack": lambda e, pipeline: StrongestAttack(e, randomization=pipeline),
    "MinimumNorm": lambda e, pipeline: MinimumNorm(e, randomization=pipeline),
}
MADE_OF = {
    "DomainAttack": lambda e, pipeline: DomainAttack(e, pipeline),
    "CompositeAttack": lambda e, pipeline: CompositeAttack(e, pipeline),
    "DomainRandomization": lambda e, pipeline: DomainRandomization(pipeline),
}
BALLS = {
    "FGSM": lambda e, **ball: FGSM(e, **ball),
    "PGD": lambda e, **ball: PGD(e, **ball, eps_step=1.0, max_iter=1, verbose=False),
    "AutoPGD": lambda e, **ball: AutoPGD(e, **ball, max_iter=1, nb_random_init=0, verbose=False),
    "StrongestAttack": lambda e, **ball: StrongestAttack(e, **ball, budget="quick", verbose=False),
    "CompositeAttack": lambda e, **ball: CompositeAttack(
        e, Brightness((-0.1, 0.1)), **ball, max_iter=1, evaluations=1, verbose=False
    ),
}


@pytest.mark.parametrize("name", SEEN_THROUGH)
def test_a_randomization_that_is_no_pipeline_is_refused_at_once(name, classifier):
    with pytest.raises(TypeError, match=r"^randomization: a pipeline must be made of .*, got 5$"):
        SEEN_THROUGH[name](classifier, 5)
    with pytest.raises(TypeError, match=r"^randomization: .*preset\(name\) makes one by name$"):
        SEEN_THROUGH[name](classifier, "weather")
    attack = SEEN_THROUGH[name](classifier, [Brightness((-0.1, 0.1))])
    with pytest.raises(ValueError, match=r"^randomization: a pipeline must have at least one transform"):
        attack.set_params(randomization=[])


@pytest.mark.parametrize("name", MADE_OF)
def test_a_pipeline_that_is_none_is_refused_by_its_name(name, classifier):
    with pytest.raises(TypeError, match=r"^pipeline: a pipeline must be made of .*, got 5$"):
        MADE_OF[name](classifier, 5)


def said(attack, x, y):
    """The warnings about eps of a call."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        attack.generate(x, y)
    return [str(one.message) for one in found if str(one.message).startswith("eps ")]


@pytest.mark.parametrize("name", BALLS)
def test_a_radius_in_other_units_is_said_once(name, classifier, images, labels):
    x, y = images[:2], labels[:2]
    attack = BALLS[name](classifier, eps=8.0)
    (message,) = said(attack, x, y)
    assert message == (
        "eps should be less than 1, from where on its ball holds every image, got 8; "
        "eps is in units of the images: 8/255 of their range is 0.0314"
    )
    assert said(attack, x, y) == []
    assert said(BALLS[name](classifier, eps=0.9), x, y) == []


@pytest.mark.parametrize("norm", [1, 2, np.inf])
def test_the_ball_holds_every_image_from_the_diagonal_of_the_range_on(norm, classifier, images, labels):
    x, y = images[:2], labels[:2]
    diagonal = float(np.linalg.norm(np.ones(x[0].size), norm))
    assert said(FGSM(classifier, norm=norm, eps=0.99 * diagonal), x, y) == []
    assert len(said(FGSM(classifier, norm=norm, eps=diagonal), x, y)) == 1


def test_the_largest_of_several_radii_counts(classifier, images, labels):
    eps = np.array([0.1, 8.0]).reshape(2, 1, 1, 1)
    assert len(said(FGSM(classifier, eps=eps, eps_step=eps), images[:2], labels[:2])) == 1


def test_a_search_for_the_least_radius_may_begin_anywhere(classifier, images, labels):
    assert said(FGSM(classifier, eps=1.0, eps_step=0.5, minimal=True), images[:2], labels[:2]) == []
