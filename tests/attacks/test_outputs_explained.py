"""Outputs that do not fit the labels: attacked where the meaning is plain, else one sentence from every attack."""

import numpy as np
import pytest
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_domainrand import (
    FGSM,
    PGD,
    AutoPGD,
    CompositeAttack,
    DomainAttack,
    MinimumNorm,
    PerturbationGenerator,
    StrongestAttack,
    diagnose,
)
from art_domainrand.randomization import Brightness

from support.estimators import CLASSES, SHAPE, cnn

ATTACKS = {
    "FGSM": lambda e: FGSM(e, eps=0.1),
    "FGSM minimal": lambda e: FGSM(e, eps=0.1, minimal=True),
    "PGD": lambda e: PGD(e, eps=0.1, eps_step=0.04, max_iter=2, verbose=False),
    "PGD with options": lambda e: PGD(e, eps=0.1, eps_step=0.04, max_iter=2, early_stop=True, verbose=False),
    "AutoPGD": lambda e: AutoPGD(e, eps=0.1, max_iter=2, verbose=False),
    "StrongestAttack": lambda e: StrongestAttack(e, eps=0.1, budget="quick", verbose=False),
    "MinimumNorm": lambda e: MinimumNorm(e, max_iter=8, verbose=False),
    "DomainAttack": lambda e: DomainAttack(e, Brightness((-0.1, 0.1)), evaluations=4, verbose=False),
    "CompositeAttack": lambda e: CompositeAttack(e, Brightness((-0.1, 0.1)), evaluations=4, max_iter=2, verbose=False),
}


def built(model: nn.Module, nb_classes: int = CLASSES) -> PyTorchClassifier:
    return PyTorchClassifier(model, nn.CrossEntropyLoss(), SHAPE, nb_classes, clip_values=(0, 1), device_type="cpu")


@pytest.mark.parametrize("with_labels", [True, False])
@pytest.mark.parametrize("name", ATTACKS)
def test_a_head_without_flatten(name, images, labels, with_labels):
    head = nn.Sequential(nn.Conv2d(1, CLASSES, 3), nn.AdaptiveAvgPool2d(1))
    with pytest.raises(ValueError, match=r"shape \(N, 4\), got shape \(1, 4, 1, 1\) for one .*; end the model in nn.F"):
        ATTACKS[name](built(head)).generate(images, labels if with_labels else None)
    assert ATTACKS[name](built(nn.Sequential(head, nn.Flatten()))).generate(images, labels).shape == images.shape


@pytest.mark.parametrize("name", ATTACKS)
def test_segmentation(name, images):
    with pytest.raises(ValueError, match=r"got shape \(1, 4, 8, 8\) for one image; attack a model with one row"):
        ATTACKS[name](built(nn.Conv2d(1, CLASSES, 3, padding=1))).generate(images)


@pytest.mark.parametrize(("kernel", "cure"), [(8, "end the model in nn.Flatten"), (3, "attack a model with one row")])
def test_diagnose_says_what_the_attacks_say(images, labels, kernel, cure):
    head = built(nn.Conv2d(1, CLASSES, kernel))
    with pytest.raises(ValueError, match=rf"must give class scores of shape \(N, 4\), got shape \(1, 4, .*; {cure}"):
        diagnose(head, images, labels, eps=0.1)


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("nb_classes", [3, 7])
def test_a_wrong_number_of_classes_changes_nothing_where_labels_are_outputs(name, images, labels, nb_classes):
    model = cnn()
    found = []
    for classes in (CLASSES, nb_classes):
        np.random.seed(0)
        found.append(ATTACKS[name](built(model, classes)).generate(images, labels % 3))
    np.testing.assert_allclose(*found, atol=1e-6)


@pytest.mark.parametrize("name", ["PGD with loss", "PGD", "AutoPGD", "StrongestAttack", "MinimumNorm"])
def test_labels_that_no_output_has(name, images):
    make = ATTACKS.get(name, lambda e: PGD(e, loss="cross_entropy", verbose=False))
    with pytest.raises(ValueError, match=r"must have as many outputs as nb_classes=7, got shape \(1, 4\) for"):
        make(built(cnn(), 7)).generate(images, np.full(len(images), 5))


def test_errors_of_the_model_stay_its_own(images, labels):
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("out of tune")

    with pytest.raises(RuntimeError, match="out of tune"):
        ATTACKS["PGD"](built(Broken())).generate(images, labels)


@pytest.mark.parametrize("kind", [int, np.uint8, np.int32])
def test_masks_of_integers_are_masks(classifier, images, labels, kind):
    mask = np.random.default_rng(0).random(images.shape) > 0.5
    attack = ATTACKS["PGD"](classifier)
    whole = attack.generate(images, labels, mask=mask.astype(kind))
    np.testing.assert_array_equal(whole, attack.generate(images, labels, mask=mask))
    as_art = ProjectedGradientDescentPyTorch(classifier, eps=0.1, eps_step=0.04, max_iter=2, verbose=False)
    np.testing.assert_allclose(whole, as_art.generate(images, labels, mask=mask), atol=1e-6)
    assert (whole != images)[mask].any()
    assert not (whole != images)[~mask].any()


UNTRAINED = {"PerturbationGenerator": lambda e: PerturbationGenerator(e, epochs=1, width=2, blocks=0)}


@pytest.mark.parametrize("with_labels", [True, False])
@pytest.mark.parametrize("name", [*ATTACKS, *UNTRAINED])
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 4)])
def test_images_that_the_model_cannot_take(name, with_labels, shape):
    x, y = np.zeros((4, *shape), np.float32), np.arange(4) if with_labels else None
    attack = (ATTACKS | UNTRAINED)[name](built(cnn()))
    run = attack.fit if name in UNTRAINED else attack.generate
    with pytest.raises(ValueError, match=rf"x must have images of shape \(1, 8, 8\), the .*, got \({shape[0]}, 8, "):
        run(x, y)


def test_another_shape_that_the_model_takes_is_attacked():
    """The input_shape says what images are like, not what they must be."""
    anywhere = nn.Sequential(nn.Conv2d(1, CLASSES, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert ATTACKS["PGD"](built(anywhere)).generate(np.zeros((4, 1, 9, 7), np.float32)).shape == (4, 1, 9, 7)
