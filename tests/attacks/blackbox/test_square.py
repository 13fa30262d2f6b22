"""Square attack: what it tries, what it keeps, and that it is no weaker than its authors' and ART's."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import SquareAttack
from art.estimators.classification import BlackBoxClassifier
from torch import nn

from art_domainrand import Square
from art_domainrand.attacks.blackbox.proposals import window_of_mountains
from art_domainrand.attacks.blackbox.windows import Planes, two_mountains, window_share, window_size
from art_domainrand.core.norms import ball
from art_domainrand.core.random import uniform

from support.attacks import RowWise, distance, fooled, margins, predicted, seen_by, some_images
from support.estimators import make_classifier, wrap

NORMS = [np.inf, 2, 1]
RADIUS = {np.inf: 0.05, 2: 0.3, 1: 1.5}
OPTIONS = {"seed": 0, "verbose": False}
QUERIES = 40


class Unmoved(nn.Module):
    """Scores that nothing changes: no point fools, and every one is as good as any other."""

    def __init__(self):
        super().__init__()
        self.scores = nn.Parameter(torch.tensor([1.0, 0, 0, 0]))

    def forward(self, x):
        return self.scores + 0 * x.flatten(1).sum(1, keepdim=True)


def tried(x, norm, eps, mask=None, channels_first=True, **options):
    """The start and every change of it that is tried where none fools, and the result."""
    classifier = wrap(Unmoved(), input_shape=x.shape[1:], channels_first=channels_first)
    attack = Square(classifier, norm, eps=eps, max_iter=QUERIES, **OPTIONS, **options)
    with seen_by(classifier.model, climbing=False) as seen:
        adv = attack.generate(x, np.zeros(len(x), int), mask=mask)
    return [points.numpy() for points in seen[-QUERIES - 1 :]], adv


@pytest.mark.parametrize("norm", NORMS)
def test_every_point_lies_in_ball_box_and_mask(norm):
    x = np.random.default_rng(0).random((6, 3, 9, 9)).astype(np.float32)
    mask = np.random.default_rng(1).random((6, 1, 9, 9)) > 0.3
    eps = np.linspace(0.05, 0.2, 6).reshape(6, 1, 1, 1) * {np.inf: 1, 2: 5, 1: 40}[norm]
    points, adv = tried(x, norm, eps, mask)
    for point in points:
        assert (distance(point, x, norm) <= eps.flatten() * (1 + 1e-5)).all()
        assert point.min() >= 0
        assert point.max() <= 1
        assert (point == x)[~np.broadcast_to(mask, x.shape)].all()
    used = np.median([distance(p, x, norm) / eps.flatten() for p in points])
    assert used > (0.9 if norm == 1 else 0.99), "all of eps is used, but that in L1 what the mask cuts is lost"
    assert (distance(adv, x, norm) <= eps.flatten() * (1 + 1e-14)).all()


@pytest.mark.parametrize("channels_first", [True, False])
def test_a_square_of_the_scheduled_size_goes_to_the_ends_of_the_ball(channels_first):
    height, width, eps = 10, 12, 0.1
    x = some_images(5, shape=(3, height, width))
    shown = x if channels_first else np.moveaxis(x, 1, -1).copy()
    points, _ = tried(shown, np.inf, eps, channels_first=channels_first)
    points = [p if channels_first else np.moveaxis(p, -1, 1) for p in points]
    change = np.stack(points) - x
    assert np.allclose(np.abs(change), eps, atol=1e-6)
    signs = change > 0
    assert (signs[0] == signs[0][:, :, :1]).all(), "the start is made of stripes"
    assert 0.3 < signs[0][:, :, 0].mean() < 0.7
    places = set()
    for i in range(QUERIES):  # all are equally good, so each is a change of the one before
        size = window_size(window_share(i, QUERIES, 0.8), height, width)
        for sample in range(5):
            where = (signs[i + 1] != signs[i])[sample].any(0)
            assert where.any(), "no query is lost"
            rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
            assert np.ptp(rows) < size[0]
            assert np.ptp(columns) < size[1]
            places.add((size, rows[0], columns[0]))
    assert len(places) > QUERIES, "every sample has windows of its own"


@pytest.mark.parametrize("norm", [2, 1])
def test_a_window_of_mountains_is_the_papers_algorithm_3(norm):
    """Sample by sample and channel by channel, up to the length of the whole change."""
    n, channels, height, width, share = 12, 3, 11, 10, 0.2
    x = torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(0))
    eps, keys = 2.0, torch.arange(n) + 7
    best = x + 0.03 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    found = window_of_mountains(ball(norm, x, eps), Planes(tuple(x.shape[1:])), best, keys, share) - x
    side, u = 5, uniform(keys, (5 + channels,))
    assert window_size(share, height, width, 3, odd=True) == (side, side)
    for k in range(n):
        delta = (best - x)[k].double()
        free = max(eps**norm - float((delta.abs() ** norm).sum()), 0) / channels
        top, left, top_2, left_2 = (
            int(u[k, j] * (room - side + 1)) for j, room in enumerate((height, width, height, width))
        )
        one = (slice(top, top + side), slice(left, left + side))
        other = (slice(top_2, top_2 + side), slice(left_2, left_2 + side))
        for c in range(channels):
            union = torch.zeros(height, width, dtype=torch.bool)
            union[one] = union[other] = True
            length = (free + float((delta[c][union].abs() ** norm).sum())) ** (1 / norm)
            shape = two_mountains((side, side), norm, upright=bool(u[k, 4] >= 0.5))
            new = (-1 if u[k, 5 + c] < 0.5 else 1) * shape
            new = new + delta[c][one] / torch.linalg.vector_norm(delta[c][one], ord=norm)
            delta[c][other] = 0
            delta[c][one] = new / torch.linalg.vector_norm(new, ord=norm) * length
        assert torch.allclose(found[k].double(), delta, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_the_best_point_is_kept(norm):
    classifier, x = wrap(RowWise()), some_images(16)
    y = predicted(classifier, x)
    with seen_by(classifier.model, climbing=False) as seen:
        adv = Square(classifier, norm, eps=RADIUS[norm] / 5, max_iter=30, **OPTIONS).generate(x, y)
    points = np.concatenate([p.numpy() for p in seen[-32:]])  # what comes before tells whether the model is random
    of = np.abs(points[:, None] - x[None]).reshape(len(points), len(x), -1).max(2).argmin(1)
    kept, clean = margins(classifier, adv, y), margins(classifier, x, y)
    left = np.flatnonzero(~fooled(classifier, adv, y))
    assert len(left) > 4
    for i in left:
        mine = margins(classifier, points[of == i], np.full((of == i).sum(), y[i]))
        assert kept[i] >= mine.max() - 1e-5
        assert kept[i] >= clean[i] - 1e-6


@pytest.mark.parametrize("norm", NORMS)
def test_an_image_has_its_result_in_any_company(norm):
    classifier, x = wrap(RowWise()), some_images(12)
    y = predicted(classifier, x)
    attack = Square(classifier, norm, eps=RADIUS[norm], max_iter=12, nb_restarts=2, batch_size=5, **OPTIONS)
    everyone = attack.generate(x, y)
    assert 0 < fooled(classifier, everyone, y).sum() < 12
    order = np.random.default_rng(0).permutation(12)[:7]
    assert np.array_equal(attack.generate(x[order], y[order]), everyone[order])
    attack.set_params(batch_size=12)
    assert np.array_equal(attack.generate(x, y), everyone)


def test_with_quantize_only_8_bit_images_are_tried():
    x = np.round(some_images(4) * 255).astype(np.float32) / 255
    for norm, eps in ((np.inf, 8.5 / 255), (2, 0.5), (1, 3.0)):
        points, adv = tried(x, norm, eps, quantize=True)
        assert all(np.abs(p * 255 - np.round(p * 255)).max() < 1e-3 for p in [*points, adv])
        assert max(np.abs(p - x).max() for p in points) > 7.9 / 255


def test_who_is_fooled_already_stays_and_restarts_are_for_the_rest():
    classifier, x = wrap(RowWise()), some_images(12)
    y = predicted(classifier, x)
    y[:3] = (y[:3] + 1) % 4
    once, twice = (Square(classifier, eps=0.02, max_iter=15, nb_restarts=k, **OPTIONS).generate(x, y) for k in (1, 2))
    assert np.array_equal(twice[:3], x[:3])
    first = fooled(classifier, once, y)
    assert 3 < first.sum() < 12
    assert np.array_equal(twice[first], once[first])
    assert (margins(classifier, twice, y) >= margins(classifier, once, y))[~first].all()
    assert not np.array_equal(twice[~first], once[~first]), "another run tries other windows"


def test_targeted():
    classifier, x = wrap(RowWise()), some_images(12)
    target = (predicted(classifier, x) + 1) % 4
    adv = Square(classifier, eps=0.3, max_iter=200, targeted=True, **OPTIONS).generate(x, target)
    assert (predicted(classifier, adv) == target).mean() > 0.8


def test_a_criterion_and_a_loss_of_the_users():
    """As ART calls them: a success is what the one says, and what the other lowers is lowered."""
    classifier, x = wrap(RowWise()), some_images(8)
    y = predicted(classifier, x)

    def lead(images, labels):
        scores = classifier.predict(images)
        return (scores * labels).sum(1) - np.where(labels > 0, -np.inf, scores).max(1)

    def by_a_margin(scores, labels):
        return np.where(labels > 0, -np.inf, scores).max(1) - (scores * labels).sum(1) > 0.2

    options = {"eps": 0.02, "max_iter": 60} | OPTIONS
    plain = Square(classifier, **options).generate(x, y)
    assert np.array_equal(Square(classifier, loss=lead, **options).generate(x, y), plain)
    assert not np.array_equal(Square(classifier, loss=lambda *a: -lead(*a), **options).generate(x, y), plain)
    wider = Square(classifier, adv_criterion=by_a_margin, **options).generate(x, y)
    assert (margins(classifier, wider, y) > 0.2).sum() > (margins(classifier, plain, y) > 0.2).sum()
    with pytest.raises(ValueError, match=r"loss must return one value per sample, shape \(\d,\), got shape \(\)"):
        Square(classifier, loss=lambda images, labels: 0.0, **options).generate(x, y)
    with pytest.raises(ValueError, match=r"adv_criterion must return one value per sample"):
        Square(classifier, adv_criterion=lambda scores, labels: True, **options).generate(x, y)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"p_init": 0.0}, r"p_init must be a number in \(0, 1\], got 0.0"),
        ({"nb_restarts": 0}, "nb_restarts must be >= 1, got 0"),
        ({"max_iter": -1}, "max_iter must be"),
        ({"loss": "margin"}, "loss must be None or a function"),
        ({"eps": -1.0}, "eps must be"),
    ],
)
def test_options_are_checked(options, said):
    with pytest.raises(ValueError, match=said):
        Square(make_classifier(), **options)


def test_a_model_without_gradients():
    inner, x = wrap(RowWise()), some_images(10)
    y = predicted(inner, x)
    blind = BlackBoxClassifier(inner.predict, (1, 8, 8), 4, clip_values=(0.0, 1.0))
    options = {"eps": 0.1, "max_iter": 60} | OPTIONS
    adv = Square(blind, **options).generate(x, y)
    assert np.array_equal(adv, Square(inner, **options).generate(x, y))
    assert fooled(inner, adv, y).any()


@pytest.mark.parametrize(("norm", "eps"), [(np.inf, 0.03), (2, 0.3)])
def test_no_weaker_than_arts_at_equal_queries(norm, eps):
    classifier, x = wrap(wide_net(), input_shape=(3, 16, 16)), some_images(60, shape=(3, 16, 16))
    y = predicted(classifier, x)
    np.random.seed(0)
    both = {"norm": norm, "eps": eps, "max_iter": 100, "batch_size": 60, "verbose": False}
    theirs = fooled(classifier, SquareAttack(classifier, **both).generate(x, y), y).sum()
    ours = fooled(classifier, Square(classifier, seed=0, **both).generate(x, y), y).sum()
    assert 0 < theirs <= ours < 60


@pytest.mark.parametrize(("norm", "eps"), [("Linf", 0.03), ("L2", 0.3)])
def test_no_weaker_than_the_authors_at_equal_queries(norm, eps):
    torchattacks = pytest.importorskip("torchattacks")
    classifier, x = wrap(wide_net(), input_shape=(3, 16, 16)), some_images(60, shape=(3, 16, 16))
    y = predicted(classifier, x)
    order, ours, theirs = np.inf if norm == "Linf" else 2, 0, 0
    for seed in range(2):
        peer = torchattacks.Square(classifier.model.eval(), norm=norm, eps=eps, n_queries=100, seed=seed)
        theirs += fooled(classifier, peer(torch.from_numpy(x), torch.from_numpy(y)).numpy(), y).sum()
        attack = Square(classifier, order, eps=eps, max_iter=100, batch_size=60, seed=seed, verbose=False)
        ours += fooled(classifier, attack.generate(x, y), y).sum()
    assert 0 < theirs <= ours < 120


def wide_net():
    """A network whose weights are random but the same in every test."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 8, 5, padding=2)
    return nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 4))
