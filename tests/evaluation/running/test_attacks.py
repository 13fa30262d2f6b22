"""The attacks that conditions name: each runs and keeps to its ball; what is misspelt is refused."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand.evaluation.conditions import Attacked
from art_domainrand.evaluation.conditions.catalogue import SEARCHED_NORMS
from art_domainrand.evaluation.conditions.names import NORMS
from art_domainrand.evaluation.running import attacks
from art_domainrand.evaluation.running.attacks import ATTACKS
from art_domainrand.evaluation.running.perform import check_performable, perform

from support.performing import NAMES, block_of

FEW = {
    "art:AutoAttack": {},
    "art:HopSkipJump": {"max_iter": 1, "max_eval": 20, "init_eval": 5, "init_size": 20},
    "art:BoundaryAttack": {"max_iter": 3, "num_trial": 3, "sample_size": 3},
    "art:ElasticNet": {"max_iter": 2, "binary_search_steps": 1},
    "art:CarliniL2Method": {"max_iter": 2, "binary_search_steps": 1},
    "square": {"max_iter": 5},
    "art:SquareAttack": {"max_iter": 5},
    "strongest": {"budget": "quick"},
    "fgsm": {},
    "art:FastGradientMethod": {},
}
RADIUS = {"linf": 0.1, "l2": 1.0, "l1": 4.0, "l0": 9}
EACH = [(name, norm) for name, entry in ATTACKS.items() for norm in entry.norms if name != "art:AutoAttack"]


@pytest.mark.parametrize(("name", "norm"), EACH)
def test_every_attack_of_the_table_runs_and_keeps_to_its_ball(name, norm, classifier, images):
    y = classifier.predict(images[:3]).argmax(1)
    attacked = Attacked(name, RADIUS[norm], norm, FEW.get(name, {"max_iter": 2}))
    rows = [perform(classifier, [attacked], block_of(images[:3], y), classes=NAMES).rows for _ in range(2)]
    assert (rows[0][norm] <= RADIUS[norm] * (1 + 1e-4)).all()
    assert rows[0].tobytes() == rows[1].tobytes()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Attacked("pdg", 0.1), r"attack must be one of .*got 'pdg'; did you mean 'pgd'\?"),
        (lambda: Attacked("art:DeepFol", 0.1), r"did you mean 'art:DeepFool'\?"),
        (lambda: Attacked("art:CarliniL2Method", 0.1, "linf"), r"norm must be one of \['l2'\] for the attack"),
        (
            lambda: Attacked("pgd", 0.1, options={"steps": 3}),
            r"options must be among .* 'steps'; did you mean 'max_iter'\?",
        ),
        (lambda: Attacked("pgd", 0.1, options={"seed": 3}), "options must be among .* got 'seed'"),
    ],
)
def test_what_is_misspelt_is_refused_with_the_nearest_name(make, said):
    with pytest.raises(ValueError, match=said):
        check_performable(make())


def test_the_names_of_attacks_are_those_of_the_table():
    assert SEARCHED_NORMS.keys() == attacks._ENTRIES.keys()


def test_no_option_is_what_the_condition_or_the_evaluation_decides():
    for name, entry in ATTACKS.items():
        assert not {"estimator", "classifier", "norm", "eps", "seed", "batch_size", "targeted"} & set(entry.options), (
            name
        )
        assert set(entry.norms) <= set(NORMS)


def test_a_callable_makes_an_attack(classifier, images):
    y = classifier.predict(images).argmax(1)

    def mine(estimator, norm, eps, scale):
        return FastGradientMethod(estimator, norm=norm, eps=eps * scale)

    rows = perform(classifier, [Attacked(mine, 0.1, options={"scale": 1})], block_of(images, y), classes=NAMES).rows
    expected = classifier.predict(FastGradientMethod(classifier, eps=0.1).generate(images, y)).argmax(1)
    assert (rows["predicted"] == expected).all()
    wide = perform(classifier, [Attacked(mine, 0.1, options={"scale": 3})], block_of(images, y), classes=NAMES).rows
    assert wide["linf"].max() <= 0.1001


class Outward:
    """Finds images on the far side of the range of pixels."""

    def __init__(self, estimator, norm, eps):
        self.eps = eps

    def generate(self, x, y):
        return x + np.where(x > 0.5, self.eps, -self.eps).astype(np.float32)


def test_an_image_outside_the_range_of_pixels_breaks_nothing(classifier):
    """At the edge of the range nothing is left of such a change."""
    x = np.random.default_rng(0).integers(0, 2, (6, 1, 8, 8)).astype(np.float32)
    y = classifier.predict(x).argmax(1)
    rows = perform(classifier, [Attacked(Outward, 0.9), Attacked(Outward, 0.3)], block_of(x, y), classes=NAMES).rows
    assert (classifier.predict(Outward(None, None, 0.9).generate(x, y)).argmax(1) != y).any()
    assert rows["right"].all()
    assert (rows["linf"] == 0).all()


@pytest.mark.parametrize("name", ["art:HopSkipJump", "art:BoundaryAttack"])
def test_attacks_that_compute_in_float64_run_on_models_in_float32(name, images):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(images[0].size, 4))
    plain = PyTorchClassifier(model, nn.CrossEntropyLoss(), images.shape[1:], 4, clip_values=(0, 1), device_type="cpu")
    y = plain.predict(images[:3]).argmax(1)
    steps = {"max_iter": 3, **({"max_eval": 200} if name == "art:HopSkipJump" else {"num_trial": 5})}
    rows = perform(plain, [Attacked(name, 5.0, "l2", steps)], block_of(images[:3], y), classes=NAMES).rows
    assert (rows["l2"] > 0).all()


class Broken:
    def __init__(self, images):
        self.images = images

    def generate(self, x, y):
        return self.images


@pytest.mark.parametrize(("images", "said"), [(np.zeros((1, 2)), "return images of shape"), (None, "return")])
def test_what_a_broken_attack_returns_is_refused(images, said, classifier):
    x = np.full((2, 1, 8, 8), 0.5, np.float32)
    found = np.full_like(x, np.nan) if images is None else images
    condition = Attacked(lambda estimator, norm, eps: Broken(found), 0.1)
    with pytest.raises(ValueError, match=f"attack .* must {said}"):
        perform(classifier, [condition], block_of(x, classifier.predict(x).argmax(1)), classes=NAMES)


def test_a_radius_as_wide_as_the_range_is_doubted(classifier, images, labels):
    with pytest.warns(RuntimeWarning, match="eps 8 of art:FastGradientMethod is the whole range of pixels"):
        perform(classifier, [Attacked("art:FastGradientMethod", 8)], block_of(images, labels), classes=NAMES)
