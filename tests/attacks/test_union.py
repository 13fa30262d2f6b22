"""Several threats together: each sample falls to whoever breaks it first, and stands if nobody does."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import AutoAttack, DeepFool, ProjectedGradientDescent, SquareAttack
from art.estimators.classification import PyTorchClassifier

from art_domainrand import FGSM, PGD, AutoPGD, CompositeAttack, DomainAttack, DomainRandomization, UnionAttack
from art_domainrand.attacks import UnionFindings
from art_domainrand.attacks.union_members import estimated_passes
from art_domainrand.randomization import Brightness, GaussianNoise, Rotation

from support.estimators import CLASSES, SHAPE, cnn, make_classifier, wrap

X = np.random.default_rng(0).random((24, *SHAPE), dtype=np.float32)
DOMAIN = [Brightness((-0.03, 0.03)), Rotation((-3, 3))]


def undecided(**kwargs):
    """A classifier that takes these images for several classes, none of them by far."""
    model = cnn()
    classifier = make_classifier(model, **kwargs)
    with torch.no_grad():
        model[-1].bias -= model(torch.from_numpy(X)).mean(0)
    return classifier


def members(estimator):
    """Of several norms, a domain, and one of ART; each breaks some that another does not."""
    return [
        DomainAttack(estimator, DOMAIN, evaluations=16, seed=0, verbose=False),
        PGD(estimator, np.inf, 0.02, 0.005, max_iter=6, seed=0, verbose=False, early_stop=True),
        PGD(estimator, 1, 0.45, 0.2, max_iter=6, seed=0, verbose=False, early_stop=True),
        FGSM(estimator, 2, 0.11, seed=0),
        ProjectedGradientDescent(estimator, 2, 0.1, 0.03, max_iter=5, verbose=False),
    ]


@pytest.fixture(scope="module")
def estimator():
    return undecided()


@pytest.fixture(scope="module")
def labels(estimator):
    return estimator.predict(X).argmax(1)


@pytest.fixture(scope="module")
def found(estimator, labels):
    return union(estimator).find(X, labels)


def broken_by(estimator, attack, y):
    return estimator.predict(attack.generate(X, y)).argmax(1) != y


def union(estimator, **kwargs):
    return UnionAttack(estimator, members(estimator), **{"verbose": False} | kwargs)


@pytest.mark.parametrize("order", ["cost", "given"])
def test_who_stands_stands_against_each_alone(estimator, labels, order):
    alone = np.stack([broken_by(estimator, attack, labels) for attack in members(estimator)])
    found = union(estimator, order=order).find(X, labels)
    np.testing.assert_array_equal(found.fooled, alone.any(0))
    assert 0 < found.fooled.sum() < len(X)
    assert all(found.fooled.sum() > one.sum() for one in alone), "no attack alone breaks as many"
    for i, place in enumerate(found.by):
        if place < 0:
            assert not found.fooled[i]
        else:
            earlier = found.order[: found.order.index(place)]
            assert alone[place, i]
            assert not alone[list(earlier), i].any()


def test_images_are_what_it_says_of_them(estimator, labels, found):
    scores = estimator.predict(found.images)
    np.testing.assert_array_equal(scores.argmax(1) != labels, found.fooled)
    own = scores[np.arange(len(X)), labels]
    rest = np.where(np.eye(CLASSES, dtype=bool)[labels], -np.inf, scores).max(1)
    np.testing.assert_allclose(rest - own, found.margins, atol=1e-5)
    np.testing.assert_array_equal(union(estimator).generate(X, labels), found.images)


def test_who_stands_keeps_the_image_of_largest_margin(estimator, labels):
    weak = [FGSM(estimator, norm, 1e-4, seed=0) for norm in (np.inf, 2, 1)]
    found = UnionAttack(estimator, weak, verbose=False).find(X, labels)
    standing = ~found.fooled
    assert standing.any()
    scores = np.stack([estimator.predict(attack.generate(X, labels)) for attack in weak])
    own = np.take_along_axis(scores, labels[None, :, None], 2)[..., 0]
    np.put_along_axis(scores, np.broadcast_to(labels[None, :, None], (3, len(X), 1)), -np.inf, 2)
    np.testing.assert_allclose(found.margins[standing], (scores.max(2) - own).max(0)[standing], atol=1e-5)


class Seen:
    """What an attack is given, told on the way."""

    def __init__(self, attack):
        self.attack, self.estimator, self.attack_params, self.x = attack, attack.estimator, [], None

    def generate(self, x, y=None):
        self.x = x
        return self.attack.generate(x, y)


def test_only_the_unbroken_go_on(estimator, labels):
    told = [Seen(attack) for attack in members(estimator)]
    found = UnionAttack(estimator, told, verbose=False, order="given").find(X, labels)
    left = np.arange(len(X))
    for place, (one, shown) in enumerate(zip(told, found.shown, strict=True)):
        assert shown == len(one.x)
        np.testing.assert_array_equal(one.x, X[left])
        left = left[found.by[left] != place]
    assert found.shown[-1] < found.shown[0] == len(X)


def test_the_order_changes_what_is_spent_and_not_who_falls(estimator, labels):
    by_cost, given = (union(estimator, order=order).find(X, labels) for order in ("cost", "given"))
    np.testing.assert_array_equal(by_cost.fooled, given.fooled)
    assert by_cost.order == (3, 4, 1, 2, 0)
    assert by_cost.evaluations < given.evaluations


def test_passes_are_counted_at_the_model(estimator, labels):
    attack = UnionAttack(estimator, [FGSM(estimator, eps=0.1, seed=0)], verbose=False)
    found = attack.find(X, labels)
    assert found.forwards == (2 * len(X),), "the step, and the look at its images"
    assert found.backwards == (len(X),)
    assert found.evaluations == 3


def test_the_cheap_come_first(estimator):
    costs = [estimated_passes(attack) for attack in members(estimator)]
    assert costs == [16, 12, 12, 2, 10]
    assert estimated_passes(union(estimator)) == sum(costs)
    composite = CompositeAttack(estimator, DOMAIN, evaluations=30, max_iter=10, verbose=False)
    assert estimated_passes(composite) == 50


def test_without_labels_it_leaves_the_predictions(estimator, labels, found):
    np.testing.assert_array_equal(union(estimator).find(X).by, found.by)
    np.testing.assert_array_equal(union(estimator).find(X, np.eye(CLASSES)[labels]).by, found.by)


def test_targeted(estimator, labels):
    target = (labels + 1) % CLASSES
    attacks = [
        PGD(estimator, norm, eps, eps / 4, max_iter=10, targeted=True, verbose=False)
        for norm, eps in ((np.inf, 0.2), (2, 1.0))
    ]
    found = UnionAttack(estimator, attacks, targeted=True, verbose=False).find(X, target)
    reached = np.stack([estimator.predict(attack.generate(X, target)).argmax(1) == target for attack in attacks])
    np.testing.assert_array_equal(found.fooled, reached.any(0))
    assert found.fooled.any()
    later = UnionAttack(estimator, [FGSM(estimator), PGD(estimator, max_iter=3, verbose=False)], verbose=False)
    later.set_params(targeted=True)  # as ART's AutoAttack does
    later.generate(X, target)
    assert not later.attacks[0].targeted, "attacks are left as found"
    with pytest.raises(ValueError, match="be able to reach a label, got DeepFool"):
        UnionAttack(estimator, [DeepFool(estimator, verbose=False)], targeted=True)


def test_masked_pixels_get_nothing(estimator, labels):
    mask = np.zeros((len(X), *SHAPE), dtype=np.float32)
    mask[:, :, :4] = 1
    mask[::2] = 1 - mask[::2]
    attacks = members(estimator)[1:]
    found = UnionAttack(estimator, attacks, verbose=False).find(X, labels, mask)
    assert (found.images == X)[mask == 0].all()
    assert len(set(found.by)) > 2, "rows of the mask follow the samples that are left"
    with pytest.raises(ValueError, match=r"mask must be None with attacks\[0\].*got DomainAttack"):
        union(estimator).find(X, labels, mask)


def test_a_budget_for_each_sample_follows_it(estimator, labels):
    eps = np.linspace(0, 0.1, len(X)).reshape(-1, 1, 1, 1)
    attacks = [
        FGSM(estimator, eps=0.02),
        PGD(estimator, np.inf, eps, np.full_like(eps, 0.02), max_iter=10, verbose=False),
    ]
    found = UnionAttack(estimator, attacks, verbose=False).find(X, labels)
    change = np.abs(found.images - X).reshape(len(X), -1).max(1)
    second = found.by == 1
    assert second.any()
    assert (change[second] <= eps.ravel()[second] + 1e-7).all()
    assert attacks[1].eps is eps
    nested = UnionAttack(estimator, [attacks[0], UnionAttack(estimator, attacks[1:], verbose=False)], verbose=False)
    np.testing.assert_array_equal(nested.find(X, labels).images, found.images)


def test_a_seed_belongs_to_the_union_and_the_place(estimator, labels):
    def attacks():
        return [
            PGD(estimator, np.inf, 0.05, 0.02, max_iter=3, num_random_init=2, verbose=False),
            SquareAttack(estimator, eps=0.05, max_iter=5, verbose=False),
        ]

    def found(**kwargs):
        return UnionAttack(estimator, attacks(), verbose=False, **kwargs).find(X, labels).images

    np.random.seed(1)
    first, state = found(seed=3), np.random.get_state()[1].copy()
    np.random.seed(2)
    np.testing.assert_array_equal(found(seed=3), first)
    assert not np.array_equal(found(seed=4), first)
    np.random.seed(1)
    assert (np.random.get_state()[1] == state).all(), "the global generator is left alone"


def test_tensors_give_tensors(estimator, labels, found):
    arrays, tensors = found, union(estimator).find(torch.from_numpy(X), torch.from_numpy(labels))
    assert all(isinstance(getattr(tensors, name), torch.Tensor) for name in ("images", "fooled", "by", "margins"))
    np.testing.assert_array_equal(tensors.images.numpy(), arrays.images)
    perturbed = union(estimator).perturb(torch.from_numpy(X), labels)
    np.testing.assert_array_equal(perturbed.numpy(), arrays.images)


def test_findings_as_json(found):
    again = UnionFindings.from_json(found.to_json(), found.images)
    for name, value in vars(found).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    assert (
        repr(again) == f"<UnionFindings of 24 images, broken by {found.broken}, {found.evaluations:g} evaluations each>"
    )
    assert again.broken == {name: int((found.by == found.names.index(name)).sum()) for name in again.broken}
    assert [again.describe(i) for i in range(3)] == ["" if k < 0 else found.names[k] for k in found.by[:3]]
    with pytest.raises(ValueError, match="images must hold 24 images"):
        UnionFindings.from_json(found.to_json(), found.images[1:])


def test_on_a_linear_model_each_norm_breaks_whom_its_closed_form_says():
    """Along (w1 - w0) a ball of radius eps moves the margin by eps ||w1 - w0||_dual: who falls is known."""
    generator = torch.Generator().manual_seed(0)
    linear = torch.nn.Linear(64, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(2, 64, generator=generator))
    estimator = wrap(torch.nn.Sequential(torch.nn.Flatten(), linear), nb_classes=2, clip_values=(-9, 9))
    x = np.random.default_rng(1).normal(size=(200, *SHAPE)).astype(np.float32)
    scores = estimator.predict(x)
    y, margin = scores.argmax(1), np.abs(scores[:, 1] - scores[:, 0])
    w = (linear.weight[1] - linear.weight[0]).detach().numpy()
    radii = {1: 2.0, 2: 0.9, np.inf: 0.12}
    reach = {1: 2.0 * np.abs(w).max(), 2: 0.9 * np.linalg.norm(w), np.inf: 0.12 * np.abs(w).sum()}
    attacks = [PGD(estimator, norm, eps, eps / 2, max_iter=8, verbose=False) for norm, eps in radii.items()]
    found = UnionAttack(estimator, attacks, verbose=False).find(x, y)
    sure = np.abs(margin - max(reach.values())) > 1e-2
    np.testing.assert_array_equal(found.fooled[sure], (margin < max(reach.values()))[sure])
    first = np.select([margin < reach[norm] for norm in radii], [0, 1, 2], -1)
    clear = np.min([np.abs(margin - one) for one in reach.values()], axis=0) > 0.02 * margin
    np.testing.assert_array_equal(found.by[clear], first[clear])
    assert len(set(found.by)) > 2


def test_luck_is_no_success(labels):
    """Behind a random defence an image counts where ten fresh draws agree, as in this library's own attacks."""
    noisy = undecided(preprocessing_defences=DomainRandomization(GaussianNoise(0.1), seed=0, apply_predict=True))
    found = UnionAttack(noisy, [FGSM(noisy, eps=1e-6, seed=0)], verbose=False, seed=0).find(X, labels)
    guesses = np.stack([noisy.predict(X).argmax(1) != labels for _ in range(40)]).mean(0)
    assert (guesses > 0.05).any()
    assert (guesses[found.fooled] > 0.5).all()


def test_inside_arts_autoattack_and_itself(estimator, labels):
    attack = union(estimator)
    auto = AutoAttack(estimator, eps=9.0, attacks=[attack])
    np.testing.assert_array_equal(
        estimator.predict(auto.generate(X, labels)).argmax(1) != labels, attack.find(X, labels).fooled
    )
    np.testing.assert_array_equal(
        UnionAttack(estimator, [attack], verbose=False).generate(X, labels), attack.generate(X, labels)
    )


def test_no_images(estimator):
    found = union(estimator).find(X[:0], np.empty(0, int))
    assert len(found) == 0
    assert found.shown == (0,) * 5


def test_the_estimator_is_left_as_found(estimator, labels):
    before = [parameter.grad for parameter in estimator.model.parameters()]
    estimator.model.train()
    union(estimator).generate(X, labels)
    assert all(module.training for module in estimator.model.modules())
    assert all(now.grad is was for now, was in zip(estimator.model.parameters(), before, strict=True))
    estimator.model.eval()


class Broken(Seen):
    """Images that are none."""

    def generate(self, x, y=None):
        return np.full_like(x, np.nan) if self.attack.targeted is False else x[:, :, 1:]


def test_what_is_no_image_counts_as_nothing_done(estimator, labels):
    found = UnionAttack(estimator, [Broken(FGSM(estimator))], verbose=False).find(X, labels)
    np.testing.assert_array_equal(found.images, X)
    assert not found.fooled.any()
    odd = Broken(FGSM(estimator, targeted=True))
    with pytest.raises(ValueError, match=r"attacks\[0\] must return images of shape"):
        UnionAttack(estimator, [odd], verbose=False).find(X, labels)


def test_wrong_arguments(estimator):
    other = make_classifier()
    for attacks, error, message in (
        ([], ValueError, "attacks must hold at least one attack"),
        (FGSM(estimator), TypeError, "attacks must be a list of attacks, got FGSM"),
        ([FGSM], TypeError, r"attacks\[0\] must be an attack"),
        ([FGSM(estimator), AutoPGD(other)], ValueError, r"attacks\[1\] must attack the estimator of the union"),
        ([FGSM(estimator, targeted=True)], ValueError, r"attacks\[0\].targeted must be False"),
    ):
        with pytest.raises(error, match=message):
            UnionAttack(estimator, attacks)
    with pytest.raises(ValueError, match="order must be one of"):
        UnionAttack(estimator, [FGSM(estimator)], order="random")
    assert isinstance(other, PyTorchClassifier)
