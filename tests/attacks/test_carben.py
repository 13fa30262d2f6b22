"""The semantic set of CARBEN: its ranges and functions are those of its authors, and the attack beats theirs."""

import inspect
import math

import kornia
import numpy as np
import pytest
import torch
from art.attacks.evasion import CompositeAdversarialAttackPyTorch

from art_domainrand import CompositeAttack, DomainAttack, carben_attack
from art_domainrand.estimators.counting import PassCounter
from art_domainrand.randomization import Draw, Pipeline, RandomOrder, from_dict, preset, to_dict

from support.estimators import cnn, make_classifier

(SET,) = preset("carben").transforms
RGB = np.random.default_rng(0).random((16, 3, 8, 8), dtype=np.float32)

THEIRS = {
    "HSVHue": lambda x, v: kornia.enhance.adjust_hue(x, v * math.pi / 180),
    "HSVSaturation": kornia.enhance.adjust_saturation,
    "Rotation": lambda x, v: kornia.geometry.transform.rotate(x, v),
    "Brightness": lambda x, v: kornia.enhance.adjust_brightness(x, v),
    "Contrast": lambda x, v: kornia.enhance.adjust_contrast(x, v),
}


def test_the_ranges_are_those_of_arts_attack():
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(CompositeAdversarialAttackPyTorch.__init__).parameters.items()
    }
    ours = [next(iter(member.parameters.values())).support for member in SET.transforms]
    assert list(ours[0]) == pytest.approx(np.rad2deg(defaults["hue_epsilon"]))
    for support, name in zip(ours[1:], ("sat_epsilon", "rot_epsilon", "bri_epsilon", "con_epsilon"), strict=True):
        assert list(support) == pytest.approx(list(defaults[name]))
    estimator = make_classifier(cnn(channels=3), input_shape=(3, 8, 8), clip_values=(0.0, 255.0))
    assert carben_attack(estimator).eps == pytest.approx(255 * defaults["pgd_epsilon"][1])


@pytest.mark.parametrize("member", SET.transforms, ids=lambda member: type(member).__name__)
def test_each_member_is_kornias_function(member):
    x = torch.from_numpy(0.25 + 0.5 * RGB)  # where nothing is clipped
    u = torch.linspace(0.05, 0.95, len(x))[:, None]
    ours = Pipeline(member).apply(x, Draw(u, torch.zeros(len(x), dtype=torch.int64)))
    (distribution,) = member.parameters.values()
    theirs = THEIRS[type(member).__name__](x, distribution.icdf(u[:, 0]))
    inside = slice(2, -2) if type(member).__name__ == "Rotation" else slice(None)
    torch.testing.assert_close(ours[..., inside, inside], theirs[..., inside, inside], atol=1e-5, rtol=1e-4)


def undecided():
    """A classifier that prefers one class, by as much as such attacks move it."""
    model = cnn(channels=3)
    classifier = make_classifier(model, input_shape=(3, 8, 8))
    with torch.no_grad():
        model[-1].bias -= model(torch.from_numpy(RGB)).mean(0)
        model[-1].bias[0] += 2.0
    return classifier


def test_it_breaks_what_arts_breaks_and_more_in_fewer_passes():
    classifier = undecided()
    y = classifier.predict(RGB).argmax(1)
    broken, passes = [], []
    torch.manual_seed(0)
    for attack in (
        CompositeAdversarialAttackPyTorch(classifier, max_iter=2, batch_size=16, verbose=False),
        carben_attack(classifier, seed=0, verbose=False),
    ):
        with PassCounter(classifier) as counter:
            adversarial = np.clip(attack.generate(RGB, y), 0, 1)
        broken.append(classifier.predict(adversarial).argmax(1) != y)
        passes.append(counter.forwards + counter.backwards)
    theirs, ours = broken
    assert theirs.any()
    assert ours[theirs].all()
    assert ours.sum() > theirs.sum()
    assert passes[1] < passes[0] / 2


def test_the_order_is_searched():
    classifier = undecided()
    y = classifier.predict(RGB).argmax(1)
    found = DomainAttack(classifier, preset("carben"), evaluations=60, seed=0, verbose=False).find(RGB, y)
    orders = {found.describe(i)["0 RandomOrder order"] for i in range(len(RGB))}
    assert len(orders) > 4
    fixed = DomainAttack(classifier, list(SET.transforms), evaluations=60, seed=0, verbose=False).find(RGB, y)
    assert found.margins.mean() > fixed.margins.mean()


def test_a_random_order_is_an_images_own_and_no_search_changes_it():
    classifier = undecided()
    y = classifier.predict(RGB).argmax(1)
    few = {"evaluations": 24, "max_iter": 4, "verbose": False}

    def found(attack_order, **options):
        return carben_attack(classifier, attack_order=attack_order, **(few | options)).find(RGB, y)

    def orders(findings):
        return [findings.describe(i)["0 RandomOrder order"] for i in range(len(RGB))]

    by_chance = found("random", seed=0)
    assert len(set(orders(by_chance))) > 8
    assert orders(found("random", seed=0, evaluations=9, max_iter=1, order="domain_first")) == orders(by_chance)
    assert orders(found("random", seed=1)) != orders(by_chance)
    assert orders(found("scheduled", seed=0)) != orders(by_chance)
    least = found("random", seed=0, evaluations=2, max_iter=1)
    assert (by_chance.margins >= least.margins - 1e-5).all()
    assert by_chance.margins.mean() > least.margins.mean()


def test_a_fixed_order_is_the_given_one():
    attack = carben_attack(undecided(), attack_order="fixed")
    assert attack.pipeline == Pipeline(SET.transforms)
    with pytest.raises(ValueError, match=r"attack_order must be one of .*got 'schedule'"):
        carben_attack(undecided(), attack_order="schedule")
    with pytest.raises(TypeError, match="searched must be a bool, got 'no'"):
        RandomOrder(SET.transforms, searched="no")
    random_order = Pipeline(RandomOrder(SET.transforms, searched=False))
    assert from_dict(to_dict(random_order)) == random_order != preset("carben")


def test_it_is_a_composite_attack_with_its_options():
    classifier = undecided()
    attack = carben_attack(classifier, 2, 0.5, 7, 8, order="pixels_first", evaluations=20, seed=3, early_stop=True)
    assert isinstance(attack, CompositeAttack)
    assert attack.pipeline == preset("carben")
    told = (attack.norm, attack.eps, attack.max_iter, attack.batch_size, attack.order, attack.evaluations)
    assert told == (2, 0.5, 7, 8, "pixels_first", 20)
    with pytest.raises(ValueError, match="eps must be given for an estimator without clip_values"):
        carben_attack(make_classifier(cnn(channels=3), input_shape=(3, 8, 8), clip_values=None))
