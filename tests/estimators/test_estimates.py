"""ART's hook for BPDA: the value of ``forward``, the gradient of ``estimate_forward``."""

import numpy as np
import pytest
import torch
from art.defences.preprocessor import FeatureSqueezing
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from art.estimators.classification import EnsembleClassifier
from art.estimators.object_detection import PyTorchObjectDetector
from torch import nn

from art_domainrand import FGSM, PGD, AutoPGD, DifferentiableDefence, MinimumNorm, StrongestAttack, diagnose
from art_domainrand.estimators import open_estimator

from support.attacks import RowWise, fooled, some_images
from support.estimators import CLASSES, wrap

QUICK = {"eps": 0.1, "eps_step": 0.025, "max_iter": 10, "verbose": False}


class Squeezing(PreprocessorPyTorch):
    """Round to so many levels; the ``estimate`` is left to a subclass."""

    params = ["levels"]  # noqa: RUF012

    def __init__(self, levels=16):
        super().__init__(device_type="cpu")
        self.levels = levels

    def forward(self, x, y=None):
        return torch.round(x * self.levels) / self.levels, y


class Identity(Squeezing):
    def estimate_forward(self, x, y=None):
        return x


class Doubling(Squeezing):
    """An estimate that says twice the truth, so that a test can tell whose gradient it was."""

    def estimate_forward(self, x, y=None):
        return 2 * x


class Recursive(Squeezing):
    """An estimate that calls the forward pass itself."""

    def estimate_forward(self, x, y=None):
        return 2 * x + (self.forward(x)[0] - 2 * x).detach()


class Narrow(Squeezing):
    def estimate_forward(self, x, y=None):
        return x[..., :4]


def gradient_of(classifier, x, y):
    with open_estimator(classifier) as source:
        labels = source.labels(torch.eye(CLASSES)[torch.from_numpy(y)])
        return source.gradient(torch.from_numpy(x), labels, 1)


@pytest.mark.parametrize("kind", [Identity, Doubling, Recursive])
def test_the_gradient_of_the_estimate_at_the_value_of_the_forward_pass(kind):
    x, y, model = some_images(6), np.arange(6) % CLASSES, RowWise()
    defence = kind()
    classifier = wrap(model, preprocessing_defences=[defence, kind()])
    seen = defence.forward(torch.from_numpy(x))[0].requires_grad_()  # rounding twice is rounding once
    torch.nn.functional.cross_entropy(model(seen), torch.from_numpy(y)).backward()
    factor = 1 if kind is Identity else 4
    assert torch.allclose(gradient_of(classifier, x, y), factor * seen.grad, atol=1e-7)
    assert "forward" not in vars(defence)


def test_as_art_does_behind_a_numpy_preprocessor():
    """ART's loss gradient asks the hook where preprocessing is mixed; it is one that counts."""
    x, y = some_images(6), np.arange(6) % CLASSES
    classifier = wrap(RowWise(), preprocessing_defences=[Doubling()])
    classifier.all_framework_preprocessing = False
    theirs = classifier.loss_gradient(x, np.eye(CLASSES, dtype=np.float32)[y])
    classifier.all_framework_preprocessing = True
    assert np.abs(gradient_of(classifier, x, y).numpy() - theirs).max() < 1e-6


@pytest.mark.parametrize("where", ["classifier", "ensemble"])
def test_rounding_no_longer_hides_the_images(where):
    x = some_images(30)
    plain = wrap(RowWise())
    y = plain.predict(x).argmax(1)

    def left(kind, make):
        classifier = wrap(RowWise(), preprocessing_defences=[kind()])
        target = classifier
        if where == "ensemble":
            target = EnsembleClassifier([classifier], channels_first=True, clip_values=(0, 1))
        return 1 - fooled(classifier, make(target).generate(x, y), y).mean()

    bare = 1 - fooled(plain, PGD(plain, **QUICK).generate(x, y), y).mean()
    for make in (
        lambda e: PGD(e, **QUICK),
        lambda e: AutoPGD(e, eps=0.1, max_iter=10, nb_random_init=1, verbose=False, seed=0),
        lambda e: StrongestAttack(e, eps=0.1, budget="quick", verbose=False, seed=0),
        lambda e: MinimumNorm(e, 2, 20, verbose=False, seed=0),
    ):
        assert left(Identity, make) <= bare + 0.1
    assert left(Squeezing, lambda e: PGD(e, **QUICK)) > 0.9, "without the hook there is nothing to follow"


class LinearDetector(nn.Module):
    """A detector whose loss is linear in the images it is shown."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0)))

    def forward(self, images, targets=None):
        if self.training:
            return {"loss": sum((self.weight * image).sum() for image in images)}
        box = {"boxes": torch.tensor([[1.0, 1, 4, 4]]), "labels": torch.tensor([1]), "scores": torch.tensor([0.9])}
        return [box for _ in images]


def test_detectors_follow_it_too():
    x, model = some_images(3, shape=(3, 8, 8)), LinearDetector()
    detector = PyTorchObjectDetector(
        model,
        input_shape=(3, 8, 8),
        clip_values=(0, 1),
        channels_first=True,
        attack_losses=("loss",),
        preprocessing_defences=[Identity()],
        device_type="cpu",
    )
    expected = x + 0.1 * np.sign(model.weight.detach().numpy())
    assert np.abs(FGSM(detector, eps=0.1).generate(x) - expected).max() < 1e-6


def test_diagnose_names_the_defence():
    x = some_images(30)
    classifier = wrap(RowWise(), preprocessing_defences=[Doubling(4)])
    findings = diagnose(classifier, x, classifier.predict(x).argmax(1)).findings
    (found,) = [finding for finding in findings if finding.name == "gradient_check"]
    assert "Doubling" in found.message


def test_an_estimate_of_another_shape_is_refused():
    classifier = wrap(RowWise(), preprocessing_defences=[Narrow()])
    with pytest.raises(ValueError, match=r"estimate_forward of Narrow must have the shape \(5, 1, 8, 8\)"):
        PGD(classifier, **QUICK).generate(some_images(5), np.zeros(5, int))


@pytest.mark.parametrize(("kind", "backward", "factor"), [(Squeezing, "straight_through", 1), (Doubling, "defence", 2)])
def test_differentiable_defence_takes_one_in_pytorch(kind, backward, factor):
    x, y, model = some_images(6), np.arange(6) % CLASSES, RowWise()
    wrapped = DifferentiableDefence(kind(), backward, batch_size=4)
    chain = [wrapped, DifferentiableDefence(FeatureSqueezing((0, 1), bit_depth=8))]
    classifier = wrap(model, preprocessing_defences=chain)
    value = kind().forward(torch.from_numpy(x))[0]
    assert torch.equal(wrapped.forward(torch.from_numpy(x))[0], value)
    assert np.array_equal(wrapped(x)[0], value.numpy())
    seen = chain[1].forward(value)[0].requires_grad_()
    torch.nn.functional.cross_entropy(model(seen), torch.from_numpy(y)).backward()
    assert torch.allclose(gradient_of(classifier, x, y), factor * seen.grad, atol=1e-7)


def test_training_is_as_art_has_it():
    """The hook is of attacks alone: a defence in training is not touched."""
    defence = Identity()
    classifier = wrap(nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)), preprocessing_defences=[defence])
    forward = defence.forward
    PGD(classifier, **QUICK).generate(some_images(3))
    assert defence.forward == forward
