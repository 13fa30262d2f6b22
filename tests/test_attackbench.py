"""The measures of the strength benchmarks: areas and optimality by hand, and the watch that every attack is under."""

import numpy as np
import pytest
import torch
from benchmarks import attackbench, strength_models
from benchmarks.attackbench_curves import Spent, Watched, area, distance, in_groups, optimality, searched
from benchmarks.strength_nets import SmallCNN, Winners
from benchmarks.strength_training import Training, train
from torch import nn

from art_domainrand.data import LabelledImages

INF = float("inf")


class Brightness(nn.Module):
    """Class 1 where the mean pixel is above 0.5: an image of mean m is at the L-inf distance |m - 0.5|."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        above = (x.mean((1, 2, 3)) - 0.5) * self.weight
        return torch.stack([-above, above], 1)


def watched(norm=INF, budget=100, greys=(0.1, 0.3, 0.45, 0.6)):
    x = torch.tensor(greys).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
    return Watched(Brightness(), x, torch.zeros(len(greys), dtype=torch.long), norm, budget)


def test_area_under_a_staircase():
    # Of four samples one is misclassified; the others fall at 1, 2 and never: 3/4 up to 1, 1/2 up to 2, 1/4 up to 4.
    assert area(np.array([0.0, 1.0, 2.0, np.inf]), 4.0) == pytest.approx(0.75 * 1 + 0.5 * 1 + 0.25 * 2)


def test_optimality_by_hand():
    best = np.array([0.0, 1.0, 2.0, 4.0])  # A* = 7/4 up to 4, and the worst attack has 3/4 of 4
    assert optimality(best, best) == 1.0
    assert optimality(np.array([0.0, np.inf, np.inf, np.inf]), best) == pytest.approx(0.0)
    one_worse = np.array([0.0, 2.0, 2.0, 4.0])  # A = 2
    assert optimality(one_worse, best) == pytest.approx(1 - (2 - 7 / 4) / (3 - 7 / 4))


def test_no_attack_beats_the_best_and_closer_is_better():
    rng = np.random.default_rng(0)
    attacks = rng.uniform(0.1, 3, (5, 40))
    best = attacks.min(0)
    scores = [optimality(one, best) for one in attacks]
    assert max(scores) < 1
    assert optimality(0.5 * (attacks[0] + best), best) > scores[0]


def test_the_watch_keeps_the_closest_point_of_every_sample():
    watch = watched()
    watch.judge(watch.images)
    assert watch.distances.tolist() == [np.inf, np.inf, np.inf, 0.0]
    for moved in ([0.41, 0.25, 0.06, 0.0], [0.3, 0.22, 0.1, 0.0], [0.5, 0.19, 0.01, 0.0]):
        broken = watch.judge(watch.images + torch.tensor(moved).view(-1, 1, 1, 1))
        assert broken.tolist() == [moved[0] > 0.4, moved[1] > 0.2, moved[2] > 0.05, True]
    assert watch.distances.numpy() == pytest.approx([0.41, 0.22, 0.06, 0.0], abs=1e-6)


def test_a_point_on_the_way_counts_for_the_nearest_sample():
    x = torch.tensor([[0.0, 0.6, 0.0, 0.6], [0.9, 0.0, 0.9, 0.0]]).view(2, 1, 2, 2)
    watch = Watched(Brightness(), x, torch.zeros(2, dtype=torch.long), INF, 10)
    watch(x[1:] + 0.06)  # alone, as in attacks that go on with what is left
    assert watch.distances.numpy() == pytest.approx([np.inf, 0.06], abs=1e-6)


def test_points_outside_the_box_do_not_count():
    watch = watched(greys=(0.1,))
    point = watch.images.clone()
    point[..., 0, 0] = 2.5
    assert watch.judge(point).all()
    assert torch.isinf(watch.distances).all()


def test_passes_are_counted_and_end():
    watch = watched(budget=3)
    for _ in range(3):
        leaf = watch.images.clone().requires_grad_()
        torch.autograd.grad(watch(leaf)[:, 1].sum(), leaf)
    assert (watch.forwards, watch.backwards) == (12, 12)
    with pytest.raises(Spent):
        watch(watch.images)


def test_distances_of_every_norm():
    images = torch.zeros(1, 1, 2, 2)
    points = torch.tensor([[[[0.3, 0.0], [-0.4, 0.0]]]])
    found = {norm: float(distance(points, images, norm)) for norm in (0, 1, 2, INF)}
    assert found == pytest.approx({0: 2, 1: 0.7, 2: 0.5, INF: 0.4})


def brighter(watch, ids, eps):
    return (watch.images[ids] + torch.as_tensor(eps, dtype=torch.float32).view(-1, 1, 1, 1)).clamp(0, 1)


def test_the_search_for_eps_ends_at_the_boundary():
    watch = watched(greys=(0.1, 0.3, 0.7, 0.45))
    searched(lambda ids, eps: brighter(watch, ids, eps), watch, 0.05, rounds=20)
    assert watch.distances.numpy() == pytest.approx([0.4, 0.2, 0, 0.05], abs=1e-4)


def test_an_attack_with_one_eps_for_all_is_run_in_groups():
    watch, seen = watched(greys=(0.1, 0.3, 0.3, 0.45)), []

    def run(ids, eps):
        seen.append(len(ids))
        return brighter(watch, ids, [eps] * len(ids))

    searched(in_groups(run), watch, 0.1, rounds=20)
    assert watch.distances.numpy() == pytest.approx([0.4, 0.2, 0.2, 0.05], abs=1e-4)
    assert seen[0] == 4
    assert sum(seen) == 20 * 4


def test_every_attack_has_a_name_of_its_own():
    names = [(entry.library, entry.name) for entry in attackbench.ENTRIES]
    assert len(set(names)) == len(names)


def test_trained_weights_come_from_the_cache(tmp_path, monkeypatch):
    trained = []

    def counted(net, *rest):
        trained.append(net)
        return net

    monkeypatch.setattr(strength_models, "train", counted)
    first = strength_models.load("digits-pgd", tmp_path, images=5)
    again = strength_models.load("digits-pgd", tmp_path, images=5)
    saturated = strength_models.load("digits-saturated", tmp_path, images=5)
    assert len(trained) == 1
    assert torch.equal(first.net(first.x), again.net(first.x))
    torch.testing.assert_close(saturated.net(first.x), 500 * first.net(first.x))


@pytest.mark.parametrize("name", [name for name in strength_models.MODELS if name.startswith("digits")])
def test_every_model_is_attacked_in_three_norms(name):
    assert set(strength_models.MODELS[name].radii) == {INF, 2, 1}


@pytest.mark.parametrize(
    ("rule", "norm"), [("plain", INF), ("pgd", INF), ("pgd", 2), ("trades", INF), ("trades", 2), ("distilled", INF)]
)
def test_every_training_learns(rule, norm):
    torch.manual_seed(0)
    y = torch.arange(2).repeat(32)
    x = torch.rand(64, 1, 4, 4) * 0.4 + 0.6 * y.view(-1, 1, 1, 1)
    images = LabelledImages(x.numpy(), y.numpy(), ("dark", "light"))
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    rate = 0.5 if rule == "distilled" else 0.02  # the scores must become as large as the temperature
    train(net, Training(rule, epochs=40, batch=32, rate=rate, steps=2, eps=0.05, norm=norm), images)
    assert (net(x).argmax(1) == y).all()


def test_a_fifth_of_the_units_wins():
    x = torch.randperm(100).float().view(2, 2, 5, 5)
    passed = Winners()(x).flatten(1)
    for units, left in zip(x.flatten(1), passed, strict=True):
        assert (left > 0).sum() == 10
        assert torch.equal(left[left > 0], units[units >= units.sort().values[-10]])


def test_training_examples_stay_in_the_ball():
    torch.manual_seed(0)
    net, x, y = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), torch.rand(8, 1, 4, 4), torch.arange(8) % 3
    from benchmarks.strength_training import pgd, trades_examples

    for norm in (INF, 2.0):
        for adv in (pgd(net, x, y, 0.1, 5, norm), trades_examples(net, x, 0.1, 5, norm)):
            assert torch.linalg.vector_norm((adv - x).flatten(1), norm, dim=1).max() <= 0.1 + 1e-6
            assert 0 <= adv.min() <= adv.max() <= 1


def test_the_published_shape_has_the_published_names():
    names = {name.rsplit(".", 1)[0] for name in SmallCNN(1, 28).state_dict()}
    convolutions = {f"feature_extractor.conv{i}" for i in range(1, 5)}
    assert names == convolutions | {f"classifier.fc{i}" for i in range(1, 4)}
    assert SmallCNN(1, 28).classifier.fc1.in_features == 1024


def test_kept_distances_belong_to_images_passes_and_to_the_seed_of_ours():
    model = strength_models.Model("net", Brightness(), LabelledImages(np.zeros((4, 1, 2, 2)), np.zeros(4), ("a", "b")))
    ours, theirs = (
        next(entry for entry in attackbench.ENTRIES if entry.library == name) for name in ("art_domainrand", "adv_lib")
    )
    measured = [attackbench.Measured(100, offset, seed) for offset, seed in ((0, 0), (5, 0), (0, 1), (5, 1))]
    names = [[one.file(entry, model, INF) for one in measured] for entry in (ours, theirs)]
    assert len(set(names[0])) == 4
    assert names[1][:2] == names[1][2:]
    assert len({*names[0], *names[1]}) == 6
