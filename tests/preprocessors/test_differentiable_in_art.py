"""DifferentiableDefence in ART's chains: prediction, training, attacks and gradients."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.defences.preprocessor import (
    JpegCompression,
    LabelSmoothing,
    Mixup,
)
from art.estimators.classification import PyTorchClassifier
from sklearn.datasets import load_digits
from torch import nn

from art_domainrand import PGD, DifferentiableDefence, DomainRandomization
from art_domainrand.randomization import Brightness, GaussianNoise

from support.differentiable import DEFENCES, UNIT, one_hot
from support.estimators import CLASSES, SHAPE, cnn, make_classifier

# In ART.


def randomization(seed=0, **kwargs):
    return DomainRandomization([Brightness((-0.1, 0.1)), GaussianNoise(0.02)], seed=seed, apply_predict=True, **kwargs)


def chain(*middle):
    return make_classifier(
        preprocessing_defences=[randomization(0), *middle, randomization(1)], preprocessing=(0.5, 0.25)
    )


def test_art_refuses_the_chain_that_this_makes_possible(images):
    with pytest.raises(NotImplementedError):
        chain(JpegCompression(UNIT, channels_first=True)).predict(images)


@pytest.mark.parametrize("attack", [PGD, ProjectedGradientDescentPyTorch])
def test_chains_of_any_order_predict_train_and_are_attacked(attack, images, labels):
    middle = [DifferentiableDefence(DEFENCES[name](), apply_fit=True) for name in ("jpeg", "smoothing", "squeezing")]
    classifier = chain(*middle)
    assert classifier.predict(images).shape == (10, CLASSES)
    adversarial = attack(classifier, eps=0.1, eps_step=0.05, max_iter=3, verbose=False).generate(images, labels)
    assert 0.05 < np.abs(adversarial - images).max() <= 0.1 + 1e-6
    classifier._optimizer = torch.optim.SGD(classifier.model.parameters(), lr=0.01)
    before = classifier.model[0].weight.detach().clone()
    classifier.fit(images, labels, nb_epochs=1, batch_size=5)
    assert not torch.equal(before, classifier.model[0].weight)


def test_the_gradient_of_a_chain_is_the_chain_rule(images, labels):
    """randomization, JPEG straight through, randomization, standardisation: by hand, with the same draws."""
    classifier = chain(DifferentiableDefence(DEFENCES["jpeg"]()))
    y = one_hot(labels)
    got = classifier.loss_gradient(images, y)
    first, second = randomization(0), randomization(1)
    leaf = torch.from_numpy(images).requires_grad_()
    shifted = first.forward(leaf)[0]
    compressed = torch.from_numpy(DEFENCES["jpeg"]()(shifted.detach().numpy())[0])
    seen = shifted + (compressed - shifted).detach()
    loss = nn.functional.cross_entropy(classifier.model((second.forward(seen)[0] - 0.5) / 0.25), torch.tensor(labels))
    loss.backward()
    assert np.abs(got).max() > 1e-3
    assert np.allclose(got, leaf.grad.numpy(), atol=1e-6)


def test_thermometer_in_a_chain_is_attacked_through_its_own_gradient(images, labels):
    encode = DifferentiableDefence(DEFENCES["thermometer"](), "defence")
    classifier = make_classifier(cnn(channels=4), preprocessing_defences=[randomization(), encode])
    assert np.abs(classifier.loss_gradient(images, one_hot(labels))).max() > 0
    assert PGD(classifier, eps=0.1, max_iter=2, verbose=False).generate(images, labels).shape == images.shape


def test_mixup_and_label_smoothing_train_behind_randomization(images, labels):
    """Their labels are distributions, which ART hands to the loss in the dtype that this keeps."""
    defences = [DomainRandomization(Brightness(), seed=0)]
    defences += [DifferentiableDefence(LabelSmoothing()), DifferentiableDefence(Mixup(CLASSES))]
    model = cnn()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    classifier = make_classifier(model, preprocessing_defences=defences, optimizer=optimizer)
    before = model[0].weight.detach().clone()
    classifier.fit(images, labels, nb_epochs=1)
    assert not torch.equal(before, model[0].weight)


def test_pgd_through_the_defence_beats_pgd_past_it():
    """JPEG undoes much of what PGD does to the bare model; with the codec in the loop PGD keeps what survives it."""
    digits = load_digits()  # 8x8 pixels in 0 .. 16
    x, y = (digits.images[:, None] / 16).astype(np.float32), digits.target
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(torch.from_numpy(x[:1000])), torch.from_numpy(y[:1000])).backward()
        optimizer.step()
    jpeg = DifferentiableDefence(JpegCompression(UNIT, quality=10, channels_first=True))
    bare, defended = (
        PyTorchClassifier(
            model,
            nn.CrossEntropyLoss(),
            SHAPE,
            10,
            clip_values=UNIT,
            preprocessing_defences=defences,
            device_type="cpu",
        )
        for defences in (None, [jpeg])
    )
    x, y = x[1000:1256], y[1000:1256]

    def accuracy(seen):
        return (defended.predict(seen).argmax(1) == y).mean()

    def robust(estimator):
        attack = PGD(estimator, eps=0.15, eps_step=0.03, max_iter=20, batch_size=256, keep_best=True, verbose=False)
        return accuracy(attack.generate(x, y))

    assert accuracy(x) > 0.9
    assert robust(defended) < robust(bare) - 0.05  # measured: 0.254 and 0.344
