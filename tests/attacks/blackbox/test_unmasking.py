"""Masked gradients: whose look masked, that Square attack follows there, and that it is said."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from art_domainrand import StrongestAttack
from art_domainrand.attacks import strongest
from art_domainrand.attacks.blackbox import unmasking
from art_domainrand.attacks.blackbox.unmasking_budget import UnmaskingBudget
from art_domainrand.attacks.ensemble.budgets import Budget

from support.attacks import RowWise, fooled, predicted, seen_by, some_images
from support.estimators import wrap

OPTIONS = {"budget": "small", "seed": 0, "verbose": False, "batch_size": 100}
RADIUS = {np.inf: 0.06, 2: 0.4, 1: 2.0}


class Masked(nn.Module):
    """A model whose gradients do not lead anywhere, for one of the known reasons."""

    def __init__(self, reason: str):
        super().__init__()
        self.reason, self.inner = reason, RowWise()

    def forward(self, x):
        if self.reason == "rounded":  # zero
            return self.inner((x * 12).round() / 12)
        if self.reason == "not a number":
            scores = self.inner(x)
            return (
                scores
                + torch.where(scores.isfinite(), 0 * scores.detach(), scores)
                + (0 * x.flatten(1)).sqrt().sum(1, keepdim=True)
            )
        if self.reason == "shattered":
            return self.inner(x + 0.002 * torch.sin(3e4 * x))
        if self.reason == "of another sign":
            return self.inner(2 * x.detach() - x)
        return self.inner(x)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A budget of few steps, and of few queries."""
    for budgets in (strongest.BUDGETS, strongest.BUDGETS_IN_L1, strongest.BUDGETS_IN_L2):
        small = Budget((("FGSM", 1, 0, 1.0), ("PGD", 10, 0, 1.0)), UnmaskingBudget(20, 50, 100))
        monkeypatch.setitem(budgets, "small", small)
        larger = Budget((("cross_entropy", 10, 0, 1.0),), UnmaskingBudget(10, 20, 50), after=small)
        monkeypatch.setitem(budgets, "larger", larger)


def attacked(reason, n=24, norm=np.inf, scale=1.0, **options):
    """Classifier, labels, result, and the warning with its three numbers, None where there is none."""
    classifier, x = wrap(Masked(reason)), some_images(n)
    y = predicted(classifier, x)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        adv = StrongestAttack(classifier, norm, RADIUS[norm] * scale, **OPTIONS | options).generate(x, y)
    texts = [w for w in said if "look masked" in str(w.message)]
    assert len(texts) <= 1
    assert all(w.category is RuntimeWarning and w.filename == __file__ for w in texts)
    return classifier, x, y, adv, str(texts[0].message) if texts else None


def without(reason, norm=np.inf, scale=1.0):
    """How many fall to the gradient stages alone."""
    classifier, x = wrap(Masked(reason)), some_images(24)
    y = predicted(classifier, x)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(strongest, "unmasking_blocks", lambda balls, budgets: [[] for _ in budgets])
        adv = StrongestAttack(classifier, norm, RADIUS[norm] * scale, **OPTIONS).generate(x, y)
    return fooled(classifier, adv, y)


@pytest.mark.parametrize("reason", ["rounded", "not a number", "shattered", "of another sign"])
def test_where_gradients_are_masked_samples_fall_without_them_and_it_is_said(reason):
    classifier, _, y, adv, said = attacked(reason)
    by_gradients, broken = without(reason), fooled(classifier, adv, y)
    assert broken.sum() >= by_gradients.sum() + 5
    assert said is not None
    masked, by_square = (int(said.split(word)[1].split()[0]) for word in ("gradients of", "broke"))
    assert (~by_gradients).sum() * 0.7 <= masked <= (~by_gradients).sum()
    assert 5 <= by_square <= (broken & ~by_gradients).sum(), "the ones broken, but for those by a stroke of luck"


@pytest.mark.parametrize("reason", ["rounded", "not a number"])
def test_who_has_no_gradient_at_all_looks_masked_whatever_random_starts_have_found(reason, monkeypatch):
    """Also where a probe comes to nothing; gradients that are there, small or shattered, are left to the probe."""
    monkeypatch.setattr(unmasking.MaskedSamples, "compare", lambda *args: None)
    said = attacked(reason)[-1]
    assert said is not None
    assert int(said.split("gradients of")[1].split()[0]) == (~without(reason)).sum() > 0
    assert all(attacked(other)[-1] is None for other in ("none", "shattered", "of another sign"))


@pytest.mark.parametrize("norm", [2, 1])
def test_in_every_norm(norm):
    classifier, _, y, adv, said = attacked("rounded", norm=norm)
    assert said is not None
    assert fooled(classifier, adv, y).sum() > without("rounded", norm).sum()


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_where_gradients_work_nothing_is_said_and_little_is_spent(norm):
    """Probes of everyone left, and no more."""
    classifier, x = wrap(RowWise()), some_images(24)
    y = predicted(classifier, x)
    left = (~without("none", norm, 0.2)).sum()
    assert left > 8
    with seen_by(classifier.model, climbing=False) as seen, warnings.catch_warnings():
        warnings.simplefilter("error")
        StrongestAttack(classifier, norm, RADIUS[norm] * 0.2, **OPTIONS).generate(x, y)
    queries = [len(points) for points in seen]
    first = max(i for i, n in enumerate(queries) if n == 24)
    assert queries[first - 21 : first] == [left] * 21, "the start, 20 changes, and what there was to begin with"
    assert sum(queries[first + 1 :]) <= 0.35 * left * 51, "a closer look at few"


def test_a_sample_looks_masked_or_not_in_any_company():
    everyone = attacked("rounded", 20)
    half = attacked("rounded", 10)
    assert np.array_equal(everyone[3][:10], half[3])


def test_no_queries_where_none_are_left_or_masked():
    """A ball so small that rounding hides every change: nothing moves, which may be masking too."""
    *_, said = attacked("rounded", 6, scale=1e-6)
    assert said is None or "broke 0 of them" in said
    classifier, _, y, adv, said = attacked("none", scale=20)
    assert fooled(classifier, adv, y).all()
    assert said is None


@pytest.mark.parametrize("reason", ["rounded", "shattered"])
@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_a_larger_budget_breaks_what_a_smaller_one_does_also_behind_masked_gradients(reason, norm):
    """It begins with the smaller one's search without gradients too, windows and all."""
    classifier, _, y, before, _ = attacked(reason, 40, norm)
    *_, adv, said = attacked(reason, 40, norm, budget="larger")
    broken = fooled(classifier, before, y)
    assert without(reason, norm).sum() < broken.sum() < 40
    assert fooled(classifier, adv, y)[broken].all()
    assert np.array_equal(adv[broken], before[broken]), "the first success is kept"
    assert said is not None
