"""The search: samples leave once they are fooled, restarts go on with the others, and nobody's result depends on it."""

import numpy as np
import pytest
import torch
from torch import nn

from art_domainrand import FGSM, PGD, AutoPGD, StrongestAttack
from art_domainrand.attacks.engine import runs
from art_domainrand.attacks.engine.best import BestSoFar

from support.attacks import SMALL, Linear, RowWise, distance, fooled, margins, predicted, seen_by, some_images
from support.estimators import wrap

QUIET = {"verbose": False, "seed": 3}
RESTARTS = SMALL | {"eps": 0.03, "eps_step": 0.01, "num_random_init": 3, "loss": "margin", "seed": 3}
ATTACKS = {
    "early_stop": lambda c, **k: PGD(c, **RESTARTS, early_stop=True, **k),
    "keep_best": lambda c, **k: PGD(c, **RESTARTS, keep_best=True, **k),
    "both, halving": lambda c, **k: PGD(c, **RESTARTS, early_stop=True, keep_best=True, step_schedule="halving", **k),
    "momentum, L2": lambda c, **k: PGD(
        c, 2, 0.2, 0.05, decay=0.9, max_iter=8, num_random_init=2, early_stop=True, **QUIET, **k
    ),
    "own loss": lambda c, **k: PGD(c, **RESTARTS | {"loss": None}, early_stop=True, **k),
    "fgsm": lambda c, **k: FGSM(c, eps=0.03, num_random_init=3, early_stop=True, seed=3, **k),
    "minimal": lambda c, **k: FGSM(c, eps=0.02, eps_step=0.003, minimal=True, loss="margin", **k),
    "AutoPGD": lambda c, **k: AutoPGD(c, eps=0.012, max_iter=12, nb_random_init=3, loss_type="dlr", **QUIET, **k),
    "AutoPGD L2": lambda c, **k: AutoPGD(c, 2, eps=0.1, max_iter=12, nb_random_init=3, **QUIET, **k),
    "AutoPGD L1": lambda c, **k: AutoPGD(c, 1, eps=0.5, max_iter=12, nb_random_init=3, **QUIET, **k),
    "targeted DLR": lambda c, **k: AutoPGD(
        c, eps=0.012, max_iter=8, nb_random_init=2, loss_type="targeted_dlr", **QUIET, **k
    ),
    "strongest": lambda c, **k: StrongestAttack(c, eps=0.012, budget="quick", **QUIET, **k),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_results_do_not_depend_on_the_batch(name):
    """One image at a time, four, or all: with restarts in sequence, packed together, and others dropping out."""
    classifier, x = wrap(RowWise()), some_images(11)
    y = predicted(classifier, x)
    results = [ATTACKS[name](classifier, batch_size=size).generate(x, y) for size in (1, 4, 1000)]
    broken = fooled(classifier, results[0], y)
    assert 0 < broken.sum() < 11, "the test needs samples of both kinds"
    for other in results[1:]:
        # Sums of squares are rounded differently in batches of different size.
        assert np.abs(other - results[0]).max() <= (1e-6 if "L2" in name else 0)


@pytest.mark.parametrize("name", ["halving", "AutoPGD"])
def test_without_random_starts_a_sample_does_not_depend_on_the_other_images(name):
    classifier, x = wrap(RowWise()), some_images(9)
    y = predicted(classifier, x)
    attack = (
        AutoPGD(classifier, eps=0.012, max_iter=12, nb_random_init=0, verbose=False)
        if name == "AutoPGD"
        else PGD(classifier, **SMALL, early_stop=True, keep_best=True, step_schedule="halving")
    )
    together = attack.generate(x, y)
    assert np.array_equal(np.concatenate([attack.generate(x[i : i + 1], y[i : i + 1]) for i in range(9)]), together)


def everywhere(classifier, x, y, **options):
    """Margins (N, steps + 1) at every iterate of one full run, and the iterates."""
    with seen_by(classifier.model) as seen:
        last = PGD(classifier, batch_size=1000, keep_best=False, early_stop=False, **options).generate(x, y)
    points = [*(p.numpy() for p in seen), last]
    return np.stack([margins(classifier, p, y) for p in points], 1), np.stack(points, 1)


@pytest.mark.parametrize("start", [0, 1])
def test_early_stop_fools_whom_any_iterate_of_the_full_run_fools(start):
    classifier, x = wrap(RowWise()), some_images(40)
    y = predicted(classifier, x)
    options = SMALL | {"eps": 0.04, "eps_step": 0.03, "num_random_init": start, "seed": 1, "loss": "margin"}
    scores, points = everywhere(classifier, x, y, **options)
    any_fools = (scores > 0).any(1)
    assert 0 < any_fools.sum() < 40
    attack = PGD(classifier, early_stop=True, batch_size=1000, **options)
    with seen_by(classifier.model) as seen:
        adv = attack.generate(x, y)
    assert np.array_equal(fooled(classifier, adv, y), any_fools)
    first = (scores > 0).argmax(1)
    assert np.array_equal(adv[any_fools], points[np.arange(40), first][any_fools]), "the first that fools"
    assert np.array_equal(adv[~any_fools], points[~any_fools, -1]), "the last of those that do not"
    steps = options["max_iter"]
    rows = np.where(any_fools, first + 1, steps).clip(max=steps)  # who is fooled is looked at once more, and leaves
    assert sum(len(p) for p in seen) == rows.sum()
    assert [len(p) for p in seen] == [int((rows > i).sum()) for i in range(len(seen))]


def test_later_restarts_run_on_the_unbroken_only():
    classifier, x = wrap(RowWise()), some_images(12)
    y = predicted(classifier, x)
    options = RESTARTS | {"eps": 0.02, "max_iter": 4, "num_random_init": 4, "early_stop": True}
    with seen_by(classifier.model) as seen:
        PGD(classifier, batch_size=12, **options).generate(x, y)
    starts, left = [], np.ones(12, dtype=bool)
    for count in range(1, 5):  # the same stream of starts: the first runs are those of fewer restarts
        starts.append(int(left.sum()))
        left = ~fooled(classifier, PGD(classifier, **options | {"num_random_init": count}).generate(x, y), y)
    assert starts[0] == 12
    assert 0 < starts[1] < 7, "several restarts of the others fit into one batch"
    packed = seen[sum(1 for p in seen if len(p) > starts[1] * 2) :]
    assert max(len(p) for p in packed) <= 12
    rows = sum(len(p) for p in seen)
    assert rows <= 12 * 4 + starts[1] * 4 * 3
    assert rows < 12 * 4 * 4 / 2


@pytest.mark.parametrize("early_stop", [True, False])
def test_keep_best_keeps_the_best_iterate(early_stop):
    classifier, x = wrap(RowWise()), some_images(30)
    y = predicted(classifier, x)
    options = SMALL | {"eps": 0.02, "eps_step": 0.02, "loss": "cross_entropy"}
    scores, points = everywhere(classifier, x, y, **options)
    adv = PGD(classifier, keep_best=True, early_stop=early_stop, **options).generate(x, y)
    robust = (scores <= 0).all(1)
    assert 0 < robust.sum() < 30
    of_interest = robust if early_stop else np.ones(30, dtype=bool)
    best = points[np.arange(30), scores.argmax(1)]
    assert np.array_equal(adv[of_interest], best[of_interest])
    assert (margins(classifier, adv, y)[of_interest] >= scores[of_interest, -1]).all()
    assert (scores.argmax(1)[of_interest] != scores.shape[1] - 1).any(), "the last was always best: nothing is tested"


class Faded(nn.Module):
    """Scores whose softmax saturates in float32: 500 times those of a smooth network."""

    def __init__(self):
        super().__init__()
        self.inner = RowWise()

    def forward(self, x):
        return 500 * self.inner(x)


def test_the_margin_breaks_what_cross_entropy_cannot():
    classifier, x = wrap(Faded()), some_images(40)
    y = predicted(classifier, x)
    options = {"eps": 0.1, "eps_step": 0.02, "max_iter": 20, "verbose": False}
    assert (~fooled(classifier, PGD(classifier, **options).generate(x, y), y)).mean() > 0.3
    for loss in ("margin", "dlr"):
        assert (~fooled(classifier, PGD(classifier, loss=loss, **options).generate(x, y), y)).mean() < 0.05
    assert fooled(classifier, StrongestAttack(classifier, eps=0.1, budget="quick", **QUIET).generate(x, y), y).all()


def test_minimal_with_options_is_the_first_radius_that_breaks():
    classifier, x = wrap(RowWise()), some_images(20)
    y = predicted(classifier, x)
    options = {"eps": 0.02, "eps_step": 0.003, "minimal": True}
    adv = FGSM(classifier, loss="margin", **options).generate(x, y)
    broken, radius = fooled(classifier, adv, y), distance(adv, x, np.inf)
    assert 0 < broken.sum() < 20
    assert np.allclose(radius[~broken], 0.02, atol=1e-6)
    grid = np.minimum(0.003 * np.arange(1, 8), 0.02)
    for image, label, found in zip(x[broken], y[broken], radius[broken], strict=True):
        one, labels = image[None], np.array([label])
        breaks = [
            fooled(classifier, FGSM(classifier, eps=r, loss="margin").generate(one, labels), labels)[0] for r in grid
        ]
        assert found == pytest.approx(grid[int(np.argmax(breaks))], abs=1e-6)
    already = FGSM(classifier, loss="margin", **options).generate(x, (y + 1) % 4)
    assert np.array_equal(already, x), "who is fooled as it is needs no radius"


@pytest.mark.parametrize("norm", [1, 2])
def test_starts_are_uniform_in_the_ball(norm):
    """The mean norm of a uniform point of a ball in d dimensions is d / (d + 1) of the radius."""
    classifier, x = wrap(RowWise(4), input_shape=(1, 2, 2)), np.full((4000, 1, 2, 2), 0.5, dtype=np.float32)
    attack = PGD(
        classifier, norm, 0.4, 0.1, max_iter=1, num_random_init=1, batch_size=4000, loss="margin", seed=0, verbose=False
    )
    with seen_by(classifier.model) as seen:
        attack.generate(x, np.zeros(4000, dtype=int))
    length = distance(seen[0].numpy(), x, norm)
    assert length.max() <= 0.4
    assert abs(length.mean() / 0.4 - 4 / 5) < 0.01
    assert abs(seen[0].mean() - 0.5) < 0.01


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_pixels_without_gradient_stay(norm):
    model = Linear()
    with torch.no_grad():
        model.weight[:, :32] = 0
    classifier, x = wrap(model), some_images(5)
    y = predicted(classifier, x)
    eps = {np.inf: 0.02, 2: 0.1, 1: 0.5}[norm]
    for attack in (
        PGD(classifier, norm, eps, eps / 2, max_iter=4, loss="dlr", early_stop=True, decay=0.5, verbose=False),
        AutoPGD(classifier, norm, eps, max_iter=12, nb_random_init=0, early_stop=False, verbose=False),
    ):
        adv = attack.generate(x, y).reshape(5, -1)
        assert np.array_equal(adv[:, :32], x.reshape(5, -1)[:, :32])
        assert (adv[:, 32:] != x.reshape(5, -1)[:, 32:]).any(1).all()


MASKED = np.zeros((8, 8), dtype=bool)
MASKED[2:6, 1:7] = True


@pytest.mark.parametrize("name", ATTACKS)
def test_masked_pixels_stay(name):
    classifier, x = wrap(RowWise()), some_images(6)
    y = predicted(classifier, x)
    adv = ATTACKS[name](classifier).generate(x, y, mask=MASKED)
    assert np.array_equal(adv[..., ~MASKED], x[..., ~MASKED])
    assert (adv[..., MASKED] != x[..., MASKED]).any()
    each = np.zeros((6, 1, 8, 8), dtype=np.float32)
    each[:3] = 1
    adv = ATTACKS[name](classifier, batch_size=2).generate(x, y, mask=each)
    assert np.array_equal(adv[3:], x[3:])
    assert (adv[:3] != x[:3]).any((1, 2, 3)).all()


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("kind", [PGD, FGSM, AutoPGD, StrongestAttack])
def test_every_sample_has_its_own_radius(kind, norm):
    classifier, x = wrap(RowWise()), some_images(10)
    y = predicted(classifier, x)
    eps = (np.linspace(0.1, 1, 10) * {np.inf: 0.02, 2: 0.1, 1: 0.5}[norm]).reshape(10, 1, 1, 1)
    options = {
        PGD: {"eps_step": eps / 3, "max_iter": 5, "num_random_init": 2, "early_stop": True, "verbose": False},
        FGSM: {"eps_step": eps / 3, "num_random_init": 2, "early_stop": True},
        AutoPGD: {"max_iter": 8, "nb_random_init": 2, "verbose": False},
        StrongestAttack: {"budget": "quick", "verbose": False},
    }[kind]
    attack = kind(classifier, norm, eps, batch_size=3, seed=0, **options)
    adv = attack.generate(x, y)
    length = distance(adv, x, norm)
    assert (length <= eps.ravel() * (1 + 1e-12)).all()
    kept = ~fooled(classifier, adv, y)
    assert (length[kept] > 0.3 * eps.ravel()[kept]).all()
    assert np.allclose(kind(classifier, norm, eps, batch_size=10, seed=0, **options).generate(x, y), adv, atol=1e-6)


@pytest.mark.parametrize("name", ATTACKS)
def test_inputs_of_every_kind(name):
    classifier, x = wrap(RowWise()), some_images(5)
    y = predicted(classifier, x)
    made = [
        ATTACKS[name](classifier).generate(x, y),
        ATTACKS[name](classifier).generate(x),  # the predictions are the labels
        ATTACKS[name](classifier).generate(x, np.eye(4, dtype=np.float32)[y]),
        ATTACKS[name](classifier).generate(x, y[:, None]),
        ATTACKS[name](classifier).perturb(torch.from_numpy(x), torch.from_numpy(y)).numpy(),
        ATTACKS[name](classifier).perturb(torch.from_numpy(x).requires_grad_()).detach().numpy(),
    ]
    assert made[0].dtype == np.float32
    assert all(np.array_equal(other, made[0]) for other in made[1:])
    empty = ATTACKS[name](classifier).generate(x[:0], y[:0])
    assert empty.shape == (0, 1, 8, 8)
    none = ATTACKS[name](classifier).generate(x[:0])
    assert none.shape == (0, 1, 8, 8)


def test_nothing_found_is_forgotten_for_scores_that_are_not_numbers():
    """A success stays although its margin, minus infinity, ranks below that of a failure found later."""
    out = torch.zeros(1, 2)
    results = BestSoFar.into(out, torch.device("cpu"))
    ids = torch.tensor([0])
    results.offer(ids, torch.ones(1, 2), torch.tensor([True]), torch.tensor([-torch.inf]))
    results.offer(ids, torch.full((1, 2), 2.0), torch.tensor([False]), torch.tensor([-1.0]))
    assert results.fooled.all()
    assert torch.equal(out, torch.ones(1, 2))


class Half(nn.Module):
    """NaN gradients where the first pixel is dark."""

    def __init__(self):
        super().__init__()
        self.inner = RowWise()

    def forward(self, x):
        first = x.flatten(1)[:, 0]
        hole = torch.where(first < 0.5, first * 0, 1.0).sqrt()
        return self.inner(x) + hole[:, None] * torch.arange(4)


@pytest.mark.parametrize("batch_size", [3, 100])
def test_samples_without_a_finite_gradient_are_reported_once_each(batch_size):
    """Also if only one of several restarts in a batch met one."""
    classifier, x = wrap(Half()), some_images(40)
    x[:, 0, 0, 0] = np.linspace(0.49, 0.52, 40)
    options = SMALL | {"eps": 0.02, "eps_step": 1e-6, "max_iter": 1}
    attack = PGD(classifier, num_random_init=2, keep_best=True, seed=0, batch_size=batch_size, **options)
    with seen_by(classifier.model) as seen, pytest.warns(RuntimeWarning) as told:
        adv = attack.generate(x, predicted(classifier, x))
    seen = torch.cat(seen)
    first = seen[:, 0, 0, 0].numpy() < 0.5
    where = np.abs(seen.numpy()[:, None] - x[None]).max((2, 3, 4)).argmin(1)  # which image a point belongs to
    expected = len(set(where[first]))
    assert expected > len(set(where[40:][first[40:]])), "some met it in the first restart only"
    assert f"{expected} of 40 samples met a non-finite loss gradient" in str(told[0].message)
    assert np.isfinite(adv).all()


class Peak(nn.Module):
    """One feature; the attack on class 0 does best at 0.5, and never wins."""

    def forward(self, x):
        away = (x.flatten(1) - 0.5).abs()
        return torch.cat([away + 0.01, torch.zeros_like(away)], dim=1)


@pytest.mark.parametrize("quantize", [False, True])
def test_early_stop_alone_keeps_the_last_iterate(quantize):
    """Not the start, although it was the better one; that is what keep_best is for."""
    classifier = wrap(Peak(), nb_classes=2, input_shape=(1, 1, 1))
    x = np.full((1, 1, 1, 1), 127 / 255, dtype=np.float32)
    options = {"eps": 0.5, "eps_step": 0.2, "max_iter": 1, "loss": "margin", "early_stop": True, "quantize": quantize}
    adv = PGD(classifier, **options, verbose=False).generate(x, np.zeros(1, int))
    assert np.abs(adv - x).max() == pytest.approx(0.2, abs=1e-6)
    best = PGD(classifier, **options, keep_best=True, verbose=False).generate(x, np.zeros(1, int))
    assert np.array_equal(best, x)


@pytest.mark.parametrize("norm", [np.inf, 2])
def test_looking_every_few_steps_keeps_the_first_success(monkeypatch, norm):
    """As on a device, where every look makes the host wait."""
    classifier, x = wrap(RowWise()), some_images(24)
    y = predicted(classifier, x)
    eps, eps_step = (0.16, 0.04) if norm == 2 else (0.024, 0.006)
    attack = FGSM(classifier, norm=norm, eps=eps, eps_step=eps_step, minimal=True)
    each_step = attack.generate(x, y)
    sizes = np.abs(each_step - x).reshape(24, -1).max(1)
    assert len(np.unique(sizes.round(3))) > 2
    monkeypatch.setattr(runs, "looks_at_every_step", lambda adv, random: False)
    np.testing.assert_array_equal(attack.generate(x, y), each_step)
