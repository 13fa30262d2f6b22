"""The ensemble: every stage on what is left, the worst case of each sample, and no sample given up without a reason."""

import io
from functools import cache

import numpy as np
import pytest
import torch

from art_domainrand import AutoPGD, StrongestAttack
from art_domainrand.attacks import strongest
from art_domainrand.attacks.engine import search
from art_domainrand.attacks.engine.balls import Balls
from art_domainrand.attacks.ensemble.budgets import AGAIN, DIRECTED_CE, FROM_BEST, NARROW, SQUARE, Budget
from art_domainrand.attacks.ensemble.directed import directed_start, mixed_weights
from art_domainrand.attacks.ensemble.reach import STUCK
from art_domainrand.core import losses

from support.attacks import CLASSES, RowWise, distance, fooled, margins, predicted, seen_by, some_images
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
    """Of 16 images, by one of the losses of the ensemble."""
    classifier, x = wrap(RowWise()), some_images(16)
    y, options = predicted(classifier, x), {"max_iter": 20, "nb_random_init": 1} | QUIET
    parts = [
        AutoPGD(classifier, norm, RADIUS[norm], loss_type=loss, **options).generate(x, y)
        for loss in ("margin", "cross_entropy", "targeted_dlr")
    ]
    return max(fooled(classifier, part, y).sum() for part in parts)


@cache
def found_with(budget, norm):
    """The examples of the same 16 images, whom they fool, and their margins."""
    classifier, x = wrap(RowWise()), some_images(16)
    y = predicted(classifier, x)
    adv = StrongestAttack(classifier, norm, RADIUS[norm], budget=budget, **QUIET).generate(x, y)
    return adv, fooled(classifier, adv, y), margins(classifier, adv, y)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("budget", strongest.BUDGETS)
def test_no_weaker_than_its_parts(budget, norm):
    adv, broken, _ = found_with(budget, norm)
    assert 0 < broken.sum() < 16
    assert (distance(adv, some_images(16), norm) <= RADIUS[norm] * (1 + 1e-14)).all()
    assert broken.sum() >= most_that_a_part_fools(norm)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize(("less", "more"), [("quick", "standard"), ("standard", "full")])
def test_a_larger_budget_is_never_weaker_for_any_image(less, more, norm):
    """It begins with all of the smaller one, under the same random numbers."""
    budgets = {1: strongest.BUDGETS_IN_L1, 2: strongest.BUDGETS_IN_L2}.get(norm, strongest.BUDGETS)
    assert budgets[more].after == budgets[less]
    (_, before, reached), (_, broken, margin) = found_with(less, norm), found_with(more, norm)
    assert (broken >= before).all()
    assert (margin[~broken] >= reached[~broken] - 1e-5).all()


def test_stages_run_on_what_is_left(robust, monkeypatch):
    classifier, x, y, eps = robust
    plan = (("margin", 3, 0, 1.0), ("cross_entropy", 4, 0, 1.0))
    monkeypatch.setattr(strongest, "BUDGETS", {"two": Budget(plan), "one": Budget(plan[:1])})
    first = fooled(classifier, StrongestAttack(classifier, eps=eps, budget="one", **QUIET).generate(x, y), y)
    with seen_by(classifier.model) as seen:
        adv = StrongestAttack(classifier, eps=eps, budget="two", **QUIET).generate(x, y)
    assert 0 < first.sum() < 80
    assert len(seen) == 3 + 4 + 1  # and a look whether there is a gradient at all
    assert len(seen[0]) == 80
    assert len(seen[3]) == (~first).sum()
    assert (fooled(classifier, adv, y) >= first).all()


def test_samples_out_of_reach_are_skipped_and_stuck_ones_are_not(robust, monkeypatch):
    """With a reach, a sample goes on if its margin came down to that share, or if nothing moved it at all."""
    classifier, x, y, eps = robust
    plan = (("margin", 3, 0, 1.0), ("cross_entropy", 2, 0, 0.5))
    monkeypatch.setattr(strongest, "BUDGETS", {"reach": Budget(plan), "one": Budget(plan[:1])})
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
    monkeypatch.setattr(strongest, "BUDGETS", {"plan": Budget(plan)})
    with seen_by(classifier.model) as seen:
        adv = StrongestAttack(classifier, eps=eps, budget="plan", **QUIET).generate(x, y)
    kept, broken = margins(classifier, adv, y), fooled(classifier, adv, y)
    points = torch.cat(seen).numpy()
    of = np.abs(points[:, None] - x[None]).reshape(len(points), len(x), -1).max(2).argmin(1)
    for i in np.flatnonzero(~broken):
        mine = points[of == i]
        assert len(mine) == 6 + 6 + 4 + 4 + 1  # and a look whether there is a gradient at all
        assert kept[i] >= margins(classifier, mine, np.full(len(mine), y[i])).max() - 1e-6


def test_targeted():
    classifier, x = wrap(RowWise()), some_images(30)
    target = (predicted(classifier, x) + 2) % 4
    for budget in strongest.BUDGETS:
        adv = StrongestAttack(classifier, eps=0.1, targeted=True, budget=budget, **QUIET).generate(x, target)
        assert (predicted(classifier, adv) == target).all()


def test_directed_starts_climb_the_mix_of_scores_and_are_the_images_own():
    """Each start lies in ball and box, far out, and is the same in any company."""
    classifier, x = wrap(RowWise()), some_images(12)
    kept = []

    def note(inputs):
        balls = Balls(inputs, np.inf, 0.1)
        for which in (torch.arange(12), torch.arange(12).flip(0)[:5]):
            ball = balls.around(which)
            kept.append(directed_start(balls, 0, 1)(3, 0, ball, which))
            random = balls.start(at_random=True)(3, 0, ball, which)
            assert ((kept[-1] - ball.x).abs() <= 0.1 + 1e-6).all()
            assert ((kept[-1] - random).abs().mean((1, 2, 3)) > 0.03).all()
        return []

    attack = StrongestAttack(classifier, eps=0.1, **QUIET)
    attack._stages = note
    attack.generate(x, predicted(classifier, x))
    assert torch.equal(kept[0].flip(0)[:5], kept[1])
    scores = [torch.from_numpy(classifier.predict(part.numpy())) for part in (torch.from_numpy(x), kept[0])]
    label = scores[0].argmax(1, keepdim=True)
    rival = scores[0].scatter(1, label, -torch.inf).argmax(1, keepdim=True)
    rises = scores[1].gather(1, rival) > scores[0].gather(1, rival)
    assert rises.float().mean() > 0.7


def test_weights_of_a_mix_of_scores():
    keys, labels, aimed = torch.arange(2000), torch.arange(2000) % 10, (torch.arange(2000) + 3) % 10
    for sign, (low, high) in ((1, (-0.5, 0.1)), (-1, (-0.1, 0.5))):
        weights = mixed_weights(keys, labels, aimed, sign, 10)
        assert torch.equal(weights.gather(1, aimed[:, None]), torch.full((2000, 1), sign * 0.8))
        own = weights.gather(1, labels[:, None])
        assert low <= own.min() < low + 0.02
        assert high - 0.02 < own.max() <= high
        others = weights.scatter(1, labels[:, None], 0).scatter(1, aimed[:, None], 0)
        assert -1 <= others.min() < -0.99
        assert 0.99 < others.max() <= 1


def test_one_bar_shows_the_whole_attack_and_says_which_stage_runs(monkeypatch):
    made, said = [], []

    class Recorded(search.tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs, file=io.StringIO())
            made.append(self)

        def set_description(self, desc=None, refresh=True):
            said.append(desc)

    monkeypatch.setattr(search, "tqdm", Recorded)
    classifier, x = wrap(RowWise()), some_images(6)
    StrongestAttack(classifier, eps=0.02, budget="quick", verbose=True, seed=0).generate(x)
    (bar,) = made
    assert bar.n == bar.total > len(x)
    assert len(set(said)) > 4
    StrongestAttack(classifier, eps=0.02, budget="quick", verbose=False, seed=0).generate(x)
    assert made[1].disable


@pytest.mark.parametrize(
    ("norm", "own", "best"),
    [(np.inf, (SQUARE, 3, 1, 1.0), (FROM_BEST, 3, 1, 1.0)), (1, ("margin", 5, 0, 1.0), (AGAIN, 5, 1, 1.0))],
)
def test_a_search_can_go_on_from_the_best_point(norm, own, best, robust, monkeypatch):
    """It begins with what a climb has found of each image; a search from its own start tries other points."""
    classifier, x, y, _ = robust
    eps, climb = RADIUS[norm], ("cross_entropy", 4, 0, 1.0)
    budgets = {"climb": Budget((climb,)), "own": Budget((climb, own)), "best": Budget((climb, best))}
    monkeypatch.setattr(strongest, "BUDGETS", budgets)
    monkeypatch.setattr(strongest, "BUDGETS_IN_L1", budgets)
    found = StrongestAttack(classifier, norm, eps, budget="climb", **QUIET).generate(x, y)
    left = ~fooled(classifier, found, y)
    assert 0 < left.sum() < 80
    times = {}
    for budget in ("own", "best"):
        with seen_by(classifier.model, climbing=best[0] == AGAIN) as seen:
            adv = StrongestAttack(classifier, norm, eps, budget=budget, **QUIET).generate(x, y)
        tried = [batch.numpy() for batch in seen if len(batch) == left.sum()]
        times[budget] = sum(np.abs(batch - found[left]).max() <= 1e-6 for batch in tried)
        assert (margins(classifier, adv, y) >= margins(classifier, found, y) - 1e-6)[left].all()
    assert times["best"] == times["own"] + 1


class Larger(torch.nn.Module):
    """A network whose scores are so many times as large."""

    def __init__(self, times):
        super().__init__()
        self.net, self.times = RowWise(), times

    def forward(self, x):
        return self.net(x) * self.times


@pytest.mark.parametrize("line", [("cross_entropy", 10, 0, 1.0), (DIRECTED_CE, 10, 2, 1.0)])
def test_large_scores_are_climbed_as_much_larger_ones(line, monkeypatch):
    """A power of two rounds nothing: to the bit; cross-entropy itself is the margin of the best other class there."""
    monkeypatch.setattr(strongest, "BUDGETS", {"one": Budget((line,))})
    x, eps, found = some_images(16), 0.012, []
    for times in (64, 64 * 64):
        classifier = wrap(Larger(times))
        y = predicted(classifier, x)
        found.append(StrongestAttack(classifier, eps=eps, budget="one", **QUIET).generate(x, y))
    assert 0 < fooled(classifier, found[0], y).sum() < 16
    np.testing.assert_array_equal(*found)
    monkeypatch.setattr(losses, "SPREAD", 1e9)
    assert (StrongestAttack(classifier, eps=eps, budget="one", **QUIET).generate(x, y) != found[0]).any(), "no odds"


def test_large_scores_are_climbed_alike_beside_a_soft_label(monkeypatch):
    monkeypatch.setattr(strongest, "BUDGETS", {"one": Budget((("cross_entropy", 10, 0, 1.0),))})
    classifier, x = wrap(Larger(64)), some_images(16)
    y = np.eye(CLASSES, dtype=np.float32)[predicted(classifier, x)]
    soft = y.copy()
    soft[-1] = 0.9 * y[-1] + 0.1 / CLASSES
    single, mixed = (
        StrongestAttack(classifier, eps=0.012, budget="one", **QUIET).generate(x, labels) for labels in (y, soft)
    )
    np.testing.assert_array_equal(mixed[:-1], single[:-1])


@pytest.mark.parametrize(("line", "least", "most"), [((NARROW, 20, 2, 1.0), 2, 3), (("margin", 20, 0, 1.0), 4, 10)])
def test_a_narrow_climb_in_l1_begins_nearer(line, least, most, monkeypatch):
    """In three times the ball, as its authors have it, and not in ten times; from two starts or one."""
    monkeypatch.setattr(strongest, "BUDGETS_IN_L1", {"quick": Budget((line,))})
    classifier, x, eps = wrap(RowWise()), some_images(7), 0.05
    y = predicted(classifier, x)
    with seen_by(classifier.model) as seen:
        adv = StrongestAttack(classifier, 1, eps, budget="quick", **QUIET).generate(x, y)
    assert not fooled(classifier, adv, y).any(), "all take every step"
    each = 20 + 2  # steps, and a look at the end of either larger ball
    assert len(seen) == each * max(line[2], 1) + 1  # and a look whether there is a gradient at all
    farthest = max(distance(point.numpy(), x, 1).max() for point in seen)
    assert least * eps < farthest <= most * eps * (1 + 1e-5)
