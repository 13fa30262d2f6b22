"""AutoPGD against a naive reference written from the papers, one sample at a time, and against torchattacks."""

import math

import numpy as np
import pytest
import torch
import torchattacks

from art_domainrand import AutoPGD
from art_domainrand.core.losses import LOSSES

from support.attacks import Linear, RowWise, distance, fooled, margins, predicted, seen_by, some_images
from support.estimators import wrap

EPS = {np.inf: 0.12, 2: 0.7, 1: 4.0}


class Reference:
    """Auto-PGD for one image in float64 arithmetic around the float32 model (Croce & Hein 2020 and 2021)."""

    def __init__(self, model, label, loss, x, eps, steps):
        self.model, self.label, self.loss = model, torch.tensor([label]), LOSSES[loss]
        self.x, self.eps, self.steps = x.astype(np.float64), eps, steps
        self.visited = []

    def look(self, point):
        """Loss and gradient; every point the model is shown is noted."""
        shown = torch.tensor(point[None], dtype=torch.float32, requires_grad=True)
        self.visited.append(point)
        value = self.loss(self.model(shown), self.label).sum()
        (grad,) = torch.autograd.grad(value, shown)
        return value.item(), grad[0].double().numpy()

    def into(self, point, norm):
        """The nearest point of the ball; the box is out of reach in these tests, but for L1."""
        delta = point - self.x
        if norm == np.inf:
            return self.x + np.clip(delta, -self.eps, self.eps)
        return self.x + delta * min(1, self.eps / np.linalg.norm(delta)) if delta.any() else point

    def dense(self, norm):
        """Algorithm 1 of 2020 with the checkpoints of section 3.1, counted in whole steps as in the authors' code."""
        period, least, shorter = (max(int(share * self.steps), 1) for share in (0.22, 0.06, 0.03))
        checkpoint, last = period, 0
        eta, before, point = 2 * self.eps, None, self.x
        value, grad = self.look(point)
        values, best = [value], (value, point, grad)
        best_then, reduced_then = value, True
        for k in range(1, self.steps + 1):
            step = np.sign(grad) if norm == np.inf else grad / max(np.linalg.norm(grad), 1e-30)
            new = self.into(point + eta * step, norm)
            if before is not None:
                new = self.into(point + 0.75 * (new - point) + 0.25 * (point - before), norm)
            before, point = point, new
            value, grad = self.look(point)
            values.append(value)
            if value > best[0]:
                best = (value, point, grad)
            if k < checkpoint:
                continue
            rises = sum(values[i + 1] > values[i] for i in range(last, k))
            reduce = rises <= 0.75 * (k - last) or (not reduced_then and best_then == best[0])
            if reduce:
                eta, (_, point, grad) = eta / 2, best
            best_then, reduced_then = best[0], reduce
            period = max(period - shorter, least)
            checkpoint, last = k + period, k
        return self.visited

    def onto_l1(self, point, radius):
        """Projection onto ball and box by bisection on the Lagrange multiplier."""
        delta = np.clip(point, 0, 1) - self.x
        if np.abs(delta).sum() <= radius:
            return self.x + delta
        raw, low, high = point - self.x, 0.0, np.abs(point - self.x).max()
        room = np.where(raw > 0, 1 - self.x, self.x)
        for _ in range(200):
            middle = (low + high) / 2
            size = np.clip(np.abs(raw) - middle, 0, room)
            low, high = (middle, high) if size.sum() > radius else (low, middle)
        return self.x + np.sign(raw) * np.clip(np.abs(raw) - high, 0, room)

    def sparse(self):
        """Algorithm 1 of 2021 in balls of 3, 2 and 1 times the radius over 30%, 30% and 40% of the steps (4.2)."""
        shares = [math.ceil(0.3 * self.steps)] * 2
        point, cold = self.x, True
        for factor, steps in zip((3, 2, 1), (*shares, self.steps - sum(shares)), strict=True):
            point = self.sparse_phase(self.onto_l1(point, factor * self.eps), factor * self.eps, steps, cold)
            cold = False
        return self.visited

    def sparse_phase(self, point, radius, steps, cold):
        d = self.x.size
        period = max(int(0.04 * steps), 1)
        changed = d if cold else np.count_nonzero(point.astype(np.float32) != self.x.astype(np.float32))
        density, eta = 0.2 if cold else changed / d / 1.5, radius
        value, grad = self.look(point)
        best = (value, point, grad)
        for k in range(1, steps + 1):
            size = np.sort(np.abs(grad).ravel())
            least = size[int(np.clip((1 - density) * d, 0, d - 1))]
            step = np.sign(grad) * (np.abs(grad) >= least)
            point = self.onto_l1(point + eta * step / np.abs(step).sum(), radius)
            value, grad = self.look(point)
            if value > best[0]:
                best = (value, point, grad)
            if k % period:
                continue
            now = np.count_nonzero(best[1].astype(np.float32) != self.x.astype(np.float32))
            sparser = now / changed < 0.95
            density = now / d / 1.5
            eta = radius if sparser else min(max(eta / 1.5, radius / 10), radius)
            changed = now
            if sparser:
                _, point, grad = best
        return best[1]


# Gradients are float32's, and their rounding grows from step to step. Another rule is off by a share of a step, 1e-2.
ROUNDED = 1e-3


def visited_by(classifier, x, y, **options):
    """Every point the model sees of one sample: the steps, and last the final look."""
    attack = AutoPGD(classifier, nb_random_init=0, early_stop=False, verbose=False, **options)
    with seen_by(classifier.model) as steps, seen_by(classifier.model, climbing=False) as looks:
        attack.generate(x, y)
    return torch.cat([*steps, looks[-1] if looks else steps[-1]]).numpy()


@pytest.mark.parametrize("loss", ["cross_entropy", "margin"])
@pytest.mark.parametrize("norm", [np.inf, 2])
def test_every_iterate_is_that_of_the_paper(norm, loss):
    classifier, x = wrap(RowWise(), clip_values=(-9.0, 9.0)), some_images(6)
    y = predicted(classifier, x)
    halved = 0
    for image, label in zip(x, y, strict=True):
        eps = 0.2 if norm == np.inf else 1.5
        expected = np.stack(Reference(classifier.model, label, loss, image, eps, 40).dense(norm))
        ours = visited_by(classifier, image[None], np.array([label]), norm=norm, eps=eps, max_iter=40, loss_type=loss)
        assert len(ours) == len(expected) == 41, "as many looks as steps, and one more after the last"
        assert np.abs(ours - expected).max() < ROUNDED
        halved += np.linalg.norm(expected[-1] - expected[-2]) < np.linalg.norm(expected[3] - expected[2])
    assert halved, "no step size was ever halved: the test is empty"


def test_every_l1_iterate_is_that_of_the_paper():
    classifier, x = wrap(RowWise()), some_images(6)
    y = predicted(classifier, x)
    for image, label in zip(x, y, strict=True):
        expected = np.stack(Reference(classifier.model, label, "cross_entropy", image, 2.0, 60).sparse())
        ours = visited_by(
            classifier,
            image[None],
            np.array([label]),
            norm=1,
            eps=2.0,
            max_iter=60,
            loss_type="cross_entropy",
            variant="original",
        )
        assert len(ours) == len(expected) == 60 + 3, "a look at the start of every phase"
        assert np.abs(ours - expected).max() < ROUNDED


@pytest.mark.parametrize("max_iter", [1, 2, 3, 4, 7])
def test_l1_takes_as_many_steps_as_it_is_told(max_iter):
    classifier, x = wrap(RowWise()), some_images(3)
    seen = visited_by(classifier, x[:1], predicted(classifier, x[:1]), norm=1, eps=1.0, max_iter=max_iter)
    phases = 1 if max_iter < 3 else 3
    assert len(seen) == max_iter + phases


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_the_last_step_is_looked_at(norm):
    """One step on a linear model, and only its end is fooled: exactly that point comes back."""
    classifier = wrap(Linear(classes=2), nb_classes=2)
    x = some_images(8)
    y = predicted(classifier, x)
    gap = (classifier.model.weight[0] - classifier.model.weight[1]).detach().numpy()
    gain = {np.inf: np.abs(gap).sum(), 2: np.linalg.norm(gap), 1: np.sort(np.abs(gap))[::-1][:12].mean()}[norm]
    need = -margins(classifier, x, y) / gain
    adv = AutoPGD(
        classifier,
        norm,
        eps=(need * 1.01).reshape(-1, 1, 1, 1),
        eps_step=0.1,
        max_iter=1,
        nb_random_init=0,
        loss_type="margin",
        verbose=False,
    ).generate(x, y)
    inside = (adv > 0).all((1, 2, 3)) & (adv < 1).all((1, 2, 3))
    assert inside.any()
    assert fooled(classifier, adv, y)[inside].all()


def theirs(attack, classifier, x, y, **options):
    acc, _ = attack(classifier.model, **options).perturb(torch.from_numpy(x), torch.from_numpy(y))
    return ~acc.numpy()


@pytest.mark.parametrize(
    ("norm", "name", "loss", "theirs_loss"),
    [
        (np.inf, "Linf", "cross_entropy", "ce"),
        (np.inf, "Linf", "dlr", "dlr"),
        (2, "L2", "cross_entropy", "ce"),
        (np.inf, "Linf", "targeted_dlr", None),
    ],
)
def test_as_strong_as_torchattacks(norm, name, loss, theirs_loss):
    classifier, x = wrap(RowWise()), some_images(100, seed=1)
    y = predicted(classifier, x)
    eps = {np.inf: 0.012, 2: 0.1}[norm]
    options = {"norm": name, "eps": eps, "steps": 20, "seed": 0}
    peer = (
        theirs(torchattacks.APGD, classifier, x, y, loss=theirs_loss, **options)
        if theirs_loss
        else theirs(torchattacks.APGDT, classifier, x, y, n_classes=4, **options)
    )
    attack = AutoPGD(
        classifier, norm, eps, max_iter=20, nb_random_init=1, batch_size=100, loss_type=loss, seed=0, verbose=False
    )
    ours = fooled(classifier, attack.generate(x, y), y)
    assert 0.2 < peer.mean() < 0.8
    assert ours.mean() >= peer.mean() - 0.01
    assert (ours != peer).mean() <= 0.03, "from the same starts the same samples fall, but for ties in the last bit"


@pytest.mark.parametrize("start", [0, 2])
@pytest.mark.parametrize("early_stop", [True, False])
@pytest.mark.parametrize("norm", EPS)
def test_stays_in_ball_and_box(norm, early_stop, start):
    classifier = wrap(RowWise())
    x = np.random.default_rng(0).random((10, 1, 8, 8), dtype=np.float32)
    x[0], x[1] = 0, 1
    options = {"max_iter": 12, "nb_random_init": start, "early_stop": early_stop, "seed": 0, "verbose": False}
    adv = AutoPGD(classifier, norm, EPS[norm], **options).generate(x, predicted(classifier, x))
    assert (distance(adv, x, norm) <= EPS[norm] * (1 + 1e-14)).all()
    assert adv.min() >= 0
    assert adv.max() <= 1
    assert (adv != x).any((1, 2, 3)).all()


@pytest.mark.parametrize("norm", EPS)
def test_random_starts_are_on_the_surface(norm):
    """In L-inf and L2 as in the paper; in L1 a normal point, projected: far outside the ball, so on its surface."""
    classifier, x = wrap(RowWise()), np.full((50, 1, 8, 8), 0.5, dtype=np.float32)
    eps = {np.inf: 0.1, 2: 0.4, 1: 1.5}[norm]
    attack = AutoPGD(classifier, norm, eps, max_iter=1, nb_random_init=1, seed=0, early_stop=False, verbose=False)
    with seen_by(classifier.model) as seen:
        attack.generate(x, np.zeros(50, dtype=int))
    start = torch.cat(seen)[:50].numpy()
    assert np.allclose(distance(start, x, norm), eps, rtol=1e-5)
    assert abs((start - x).mean()) < eps / 20, "on average around the image"
    assert len(np.unique(start.reshape(50, -1), axis=0)) == 50


def test_random_starts_fill_the_radius_of_every_feature():
    classifier, x = wrap(RowWise()), np.full((40, 1, 8, 8), 0.5, dtype=np.float32)
    eps = np.linspace(0.0, 0.3, 64).reshape(1, 8, 8)
    attack = AutoPGD(classifier, eps=eps, max_iter=1, nb_random_init=1, seed=0, early_stop=False, verbose=False)
    with seen_by(classifier.model) as seen:
        attack.generate(x, np.zeros(40, dtype=int))
    moved = np.abs(torch.cat(seen)[:40].numpy() - x).mean(0)
    assert (moved <= eps + 1e-6).all()
    # Uniform but for the longest entry: half the radius on average, for small and large radii alike.
    assert 0.45 < np.median(moved.ravel()[1:] / eps.ravel()[1:]) < 0.56
    assert moved.ravel()[1:8].sum() / eps.ravel()[1:8].sum() > 0.4


def test_without_early_stop_every_restart_runs_and_the_largest_margin_is_kept():
    classifier, x = wrap(RowWise()), some_images(8)
    y = predicted(classifier, x)
    options = {"eps": 0.1, "max_iter": 6, "batch_size": 100, "loss_type": "margin", "seed": 0, "verbose": False}
    with seen_by(classifier.model) as seen:
        adv = AutoPGD(classifier, nb_random_init=3, early_stop=False, **options).generate(x, y)
    points = torch.cat(seen).view(6, 3, 8, 1, 8, 8)
    everywhere = [margins(classifier, points[i, r].numpy(), y) for i in range(6) for r in range(3)]
    assert (margins(classifier, adv, y) >= np.max(everywhere, axis=0) - 1e-6).all()


def test_targeted_runs_reach_their_class():
    classifier, x = wrap(RowWise()), some_images(20)
    target = (predicted(classifier, x) + 1) % 4
    for loss in (None, "cross_entropy", "margin", "dlr", "difference_logits_ratio"):
        attack = AutoPGD(classifier, eps=0.2, max_iter=15, targeted=True, loss_type=loss, seed=0, verbose=False)
        reached = predicted(classifier, attack.generate(x, target)) == target
        assert reached.mean() >= 0.9, loss


def test_targeted_dlr_aims_at_the_best_classes_in_turn():
    """Samples near a border fall to the runner-up; with all classes no fewer than with one are fooled."""
    classifier, x = wrap(RowWise()), some_images(60, seed=2)
    y = predicted(classifier, x)
    runner_up = classifier.predict(x).argsort(1)[:, -2]
    options = {"eps": 0.012, "max_iter": 20, "loss_type": "targeted_dlr", "nb_random_init": 1, "seed": 0}
    one = AutoPGD(classifier, nb_target_classes=1, verbose=False, **options).generate(x, y)
    broken = fooled(classifier, one, y)
    assert 5 < broken.sum() < 55
    assert (predicted(classifier, one)[broken] == runner_up[broken]).mean() > 0.9
    every = AutoPGD(classifier, nb_target_classes=9, verbose=False, **options).generate(x, y)
    assert (fooled(classifier, every, y) >= broken).all()
    assert np.array_equal(every[broken], one[broken]), "what the first class broke is not attacked again"


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_every_class_aimed_at_starts_elsewhere(norm):
    classifier, x = wrap(RowWise()), some_images(5)
    options = {"max_iter": 1, "nb_random_init": 1, "loss_type": "targeted_dlr", "early_stop": False, "seed": 0}
    with seen_by(classifier.model) as seen:
        AutoPGD(classifier, norm, 0.01, verbose=False, **options).generate(x, predicted(classifier, x))
    assert len(seen) == 3
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])
