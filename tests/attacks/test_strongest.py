"""The ensemble: every stage on what is left, the worst case of each sample, and no sample given up without a reason."""

from functools import cache

import numpy as np
import pytest
import torch

from art_domainrand import AutoPGD, StrongestAttack
from art_domainrand.attacks import strongest
from art_domainrand.attacks.ensemble.reach import STUCK

from support.attacks import RowWise, distance, fooled, margins, predicted, seen_by, some_images
from support.estimators import wrap

QUIET = {"verbose": False, "seed": 0, "batch_size": 100}


@pytest.fixture
def robust():
    """A model, images and a radius at which about half of them are robust."""
    classifier, x = wrap(RowWise()), some_images(80)
    return classifier, x, predicted(classifier, x), 0.012


RADIUS = {np.inf: 0.012, 2: 0.1, 1: 0.5}


@cache
def most_that_a_part_fools(norm):
    """Of 24 images, by one of the losses of the ensemble."""
    classifier, x = wrap(RowWise()), some_images(24)
    y, options = predicted(classifier, x), {"max_iter": 20, "nb_random_init": 1} | QUIET
    parts = [
        AutoPGD(classifier, norm, RADIUS[norm], loss_type=loss, **options).generate(x, y)
        for loss in ("margin", "cross_entropy", "targeted_dlr")
    ]
    return max(fooled(classifier, part, y).sum() for part in parts)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("budget", strongest.BUDGETS)
def test_no_weaker_than_its_parts(budget, norm):
    classifier, x = wrap(RowWise()), some_images(24)
    y, eps = predicted(classifier, x), RADIUS[norm]
    adv = StrongestAttack(classifier, norm, eps, budget=budget, **QUIET).generate(x, y)
    broken = fooled(classifier, adv, y)
    assert 0 < broken.sum() < 24
    assert (distance(adv, x, norm) <= eps * (1 + 1e-14)).all()
    assert broken.sum() >= most_that_a_part_fools(norm)


def test_stages_run_on_what_is_left(robust, monkeypatch):
    classifier, x, y, eps = robust
    plan = {"two": (("margin", 3, 0, 1.0), ("cross_entropy", 4, 0, 1.0))}
    monkeypatch.setattr(strongest, "BUDGETS", plan | {"one": plan["two"][:1]})
    first = fooled(classifier, StrongestAttack(classifier, eps=eps, budget="one", **QUIET).generate(x, y), y)
    with seen_by(classifier.model) as seen:
        adv = StrongestAttack(classifier, eps=eps, budget="two", **QUIET).generate(x, y)
    assert 0 < first.sum() < 80
    assert len(seen) == 3 + 4
    assert len(seen[0]) == 80
    assert len(seen[3]) == (~first).sum()
    assert (fooled(classifier, adv, y) >= first).all()


def test_samples_out_of_reach_are_skipped_and_stuck_ones_are_not(robust, monkeypatch):
    """With a reach, a sample goes on if its margin came down to that share, or if nothing moved it at all."""
    classifier, x, y, eps = robust
    plan = (("margin", 3, 0, 1.0), ("cross_entropy", 2, 0, 0.5))
    monkeypatch.setattr(strongest, "BUDGETS", {"reach": plan, "one": plan[:1]})
    before = margins(classifier, x, y)
    adv = StrongestAttack(classifier, eps=eps, budget="one", **QUIET).generate(x, y)
    after = margins(classifier, adv, y)
    share = after / before
    expected = (after <= 0) & ((share <= 0.5) | (share >= STUCK))
    assert 0 < (expected & (share <= 0.5)).sum() < (after <= 0).sum()
    with seen_by(classifier.model) as seen:
        StrongestAttack(classifier, eps=eps, budget="reach", **QUIET).generate(x, y)
    assert len(seen[3]) == expected.sum()


def test_what_is_kept_is_the_largest_margin_of_all_stages(robust, monkeypatch):
    classifier, x, y, eps = robust
    plan = (("margin", 6, 0, 1.0), ("cross_entropy", 6, 0, 1.0), ("targeted_dlr", 4, 2, 1.0))
    monkeypatch.setattr(strongest, "BUDGETS", {"plan": plan})
    with seen_by(classifier.model) as seen:
        adv = StrongestAttack(classifier, eps=eps, budget="plan", **QUIET).generate(x, y)
    kept, broken = margins(classifier, adv, y), fooled(classifier, adv, y)
    points = torch.cat(seen).numpy()
    of = np.abs(points[:, None] - x[None]).reshape(len(points), len(x), -1).max(2).argmin(1)
    for i in np.flatnonzero(~broken):
        mine = points[of == i]
        assert len(mine) == 6 + 6 + 4 + 4
        assert kept[i] >= margins(classifier, mine, np.full(len(mine), y[i])).max() - 1e-6


def test_targeted():
    classifier, x = wrap(RowWise()), some_images(30)
    target = (predicted(classifier, x) + 2) % 4
    for budget in strongest.BUDGETS:
        adv = StrongestAttack(classifier, eps=0.1, targeted=True, budget=budget, **QUIET).generate(x, target)
        assert (predicted(classifier, adv) == target).all()


def test_larger_budgets_find_no_less(robust):
    classifier, x, y, eps = robust
    found = [
        fooled(classifier, StrongestAttack(classifier, eps=eps, budget=b, **QUIET).generate(x, y), y).sum()
        for b in ("quick", "standard", "full")
    ]
    assert found == sorted(found)
