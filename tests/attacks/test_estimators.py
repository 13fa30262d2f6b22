"""The estimator comes back as it was found, and every kind of estimator works or says why not."""

import random

import numpy as np
import pytest
import torch
from art.attacks.evasion import AutoAttack, FastGradientMethod
from art.defences.postprocessor import Rounded
from art.defences.trainer import AdversarialTrainer
from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing
from art.estimators.classification import EnsembleClassifier, PyTorchClassifier
from art.estimators.object_detection import PyTorchObjectDetector
from torch import nn

from art_domainrand import FGSM, PGD

BUDGET = {"eps": 0.1, "eps_step": 0.03}
QUICK = BUDGET | {"max_iter": 3, "verbose": False}


def mixed_model():
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(384, 4)
    )


def snapshot(model):
    return {
        "training": [m.training for m in model.modules()],
        "buffers": [b.clone() for b in model.buffers()],
        "values": [p.detach().clone() for p in model.parameters()],
        "grads": [p.grad for p in model.parameters()],
        "grad_values": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "requires": [p.requires_grad for p in model.parameters()],
        "storage": [(p.data_ptr(), p.stride()) for p in model.parameters()],
    }


def assert_unchanged(model, before):
    after = snapshot(model)
    for name in ("training", "requires", "storage"):
        assert after[name] == before[name], name
    for name in ("buffers", "values", "grad_values"):
        pairs = zip(after[name], before[name], strict=True)
        assert all((a is None and b is None) or torch.equal(a, b) for a, b in pairs), name
    assert all(a is b for a, b in zip(after["grads"], before["grads"], strict=True))


def unusual_state(classifier, images):
    """Partly trained, partly frozen, gradients half way through accumulation."""
    model = classifier.model
    model(torch.from_numpy(images)).sum().backward()
    model.train()
    model[3].eval()
    model[0].weight.requires_grad_(False)
    model[5].bias.grad = None
    return model


class Failing(nn.Module):
    """Raises at its n-th call."""

    def __init__(self, inner, fails_at):
        super().__init__()
        self.inner, self.calls, self.fails_at = inner, 0, fails_at

    def forward(self, x):
        self.calls += 1
        if self.calls == self.fails_at:
            raise ZeroDivisionError("on purpose")
        return self.inner(x)


@pytest.mark.parametrize("kind", ["device", "arrays"])
@pytest.mark.parametrize("memory_format", [None, "channels_last"])
def test_estimator_is_as_found(classifier_with, images, labels, memory_format, kind):
    classifier = classifier_with(mixed_model(), postprocessing_defences=Rounded(decimals=3))
    model = unusual_state(classifier, images)
    before = snapshot(model)
    post = list(classifier.postprocessing_defences)
    target = (
        classifier if kind == "device" else EnsembleClassifier([classifier], channels_first=True, clip_values=(0, 1))
    )
    for attack in (
        PGD(target, num_random_init=2, memory_format=memory_format, seed=0, **QUICK),
        FGSM(target, memory_format=memory_format, minimal=True, **BUDGET),
        FGSM(target, memory_format=memory_format, **BUDGET),
    ):
        attack.generate(images, labels)
        attack.generate(images)
        assert_unchanged(model, before)
    assert classifier.postprocessing_defences == post


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_estimator_is_as_found_after_an_exception(classifier_with, images, labels, fails_at):
    classifier = classifier_with(mixed_model())
    model = unusual_state(classifier, images)
    failing = PyTorchClassifier(Failing(model, fails_at), nn.CrossEntropyLoss(), (1, 8, 8), 4, device_type="cpu")
    before = snapshot(model)
    with pytest.raises(ZeroDivisionError):
        PGD(failing, memory_format="channels_last", **QUICK).generate(images, labels)
    assert_unchanged(model, before)


@pytest.mark.parametrize("seed", [None, 0])
def test_global_generators_are_as_found(classifier_with, images, labels, seed):
    ensemble = EnsembleClassifier([classifier_with()], channels_first=True, clip_values=(0, 1))
    for target in (classifier_with(mixed_model()), ensemble):
        state = torch.get_rng_state(), random.getstate()
        PGD(target, num_random_init=2, seed=seed, **QUICK).generate(images)
        FGSM(target, num_random_init=2, seed=seed, **BUDGET).generate(images, labels)
        assert torch.equal(torch.get_rng_state(), state[0])
        assert random.getstate() == state[1]


def test_gradients_ask_nothing_of_the_parameters(classifier_with, images, labels):
    """The backward pass stops at the input: a parameter hook never fires."""
    classifier = classifier_with(mixed_model())
    fired = []
    for p in classifier.model.parameters():
        p.register_hook(lambda grad: fired.append(grad))
    PGD(classifier, **QUICK).generate(images, labels)
    assert not fired


@pytest.mark.parametrize("options", [{"memory_format": "channels_last"}, {"autocast": torch.bfloat16}])
def test_layout_and_precision_change_speed_only(classifier_with, images, labels, options):
    classifier = classifier_with(mixed_model())
    plain = PGD(classifier, **QUICK).generate(images, labels)
    other = PGD(classifier, **QUICK, **options).generate(images, labels)
    assert np.mean(np.abs(plain - other) < 1e-6) > 0.97
    assert np.abs(other - images).max() <= 0.1


def test_targeted_loss_falls_in_half_precision(classifier_with, images):
    classifier = classifier_with(mixed_model())
    target = (classifier.predict(images).argmax(1) + 1) % 4
    loss = classifier.compute_loss(images, target)
    for autocast in (None, torch.bfloat16, torch.float16):
        adv = PGD(classifier, targeted=True, autocast=autocast, **QUICK).generate(images, target)
        assert (classifier.compute_loss(adv, target) < loss).all()


@pytest.mark.parametrize("columns", [1, None])
@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), nn.BCELoss()])
def test_one_output_unit(classifier_with, images, loss, columns):
    """A binary classifier with one output; without labels ART takes every image for class 1."""
    tail = [nn.Sigmoid()] if isinstance(loss, nn.BCELoss) else []
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 1), *tail)
    binary = classifier_with(model, loss=loss, nb_classes=2)
    threshold = 0.5 if tail else 0.0
    with torch.no_grad():  # half of the images in each class
        model[1].bias -= model[:2](torch.from_numpy(images)).median()
    predicted = (binary.predict(images)[:, 0] > threshold).astype(int)
    assert 0 < predicted.sum() < 10
    y = predicted if columns is None else predicted.reshape(-1, 1)
    for labels in (y, None):
        adv = PGD(binary, num_random_init=2, eps=0.3, eps_step=0.1, max_iter=3, verbose=False).generate(images, labels)
        moved = binary.predict(adv)[:, 0] - binary.predict(images)[:, 0]
        assert (np.sign(moved) == 1 - 2 * predicted).all()
    if columns is not None:
        with pytest.raises(ValueError, match=r"[Tt]arget size"):  # ART's own attack cannot do this at all
            FastGradientMethod(binary, eps=0.1).generate(images, y)


def test_two_classes_with_two_outputs(classifier_with, images):
    two = classifier_with(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), nb_classes=2)
    y = two.predict(images).argmax(1)
    for labels in (y, np.eye(2)[y], y.reshape(-1, 1)):
        adv = PGD(two, eps=0.5, eps_step=0.1, max_iter=10, verbose=False).generate(images, labels)
        assert (two.predict(adv).argmax(1) != y).mean() > 0.5


@pytest.mark.parametrize("n", [0, 1])
def test_tiny_batches(classifier, images, labels, n):
    for attack in (PGD(classifier, **QUICK), FGSM(classifier, **BUDGET), FGSM(classifier, minimal=True, **BUDGET)):
        adv = attack.generate(images[:n], labels[:n])
        assert adv.shape == images[:n].shape
        assert adv.dtype == np.float32
        assert attack.generate(images[:n]).shape == images[:n].shape


def test_results_do_not_depend_on_the_batch(classifier, images, labels):
    for norm, eps in ((np.inf, 0.1), (2, 1.0), (1, 5.0)):
        runs = [
            PGD(classifier, norm, eps, eps / 4, max_iter=4, batch_size=size, verbose=False).generate(images, labels)
            for size in (1, 3, 10)
        ]
        assert all(np.abs(runs[0] - run).max() < 1e-5 for run in runs)


def test_zero_steps_and_zero_radius_return_the_images(classifier, images, labels):
    zero_steps = PGD(classifier, max_iter=0, num_random_init=1, verbose=False).generate(images, labels)
    assert np.array_equal(zero_steps, images)
    for norm in (1, 2, np.inf):
        zero_eps = PGD(classifier, norm, eps=0.0, max_iter=3, num_random_init=1, verbose=False)
        assert np.array_equal(zero_eps.generate(images, labels), images)


def test_a_model_cut_off_from_its_input_is_refused(classifier_with, images, labels):
    class Detached(nn.Module):
        def forward(self, x):
            return x.detach().flatten(1)[:, :4] * 1.0

    cut = PyTorchClassifier(Detached(), nn.CrossEntropyLoss(), (1, 8, 8), 4, device_type="cpu")
    with pytest.raises(ValueError, match="estimator must be differentiable in x"):
        PGD(cut, **QUICK).generate(images, labels)


def test_randomized_smoothing(images, labels):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    smooth = PyTorchRandomizedSmoothing(
        model, nn.CrossEntropyLoss(), (1, 8, 8), 4, clip_values=(0, 1), sample_size=20, scale=0.05, device_type="cpu"
    )
    adv = PGD(smooth, **QUICK).generate(images, labels)
    assert (smooth.compute_loss(adv, labels) > smooth.compute_loss(images, labels)).all()


class TinyDetector(nn.Module):
    """The least that torchvision's detection interface asks for: a loss dict in training, boxes in evaluation."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 8, 8))

    def forward(self, images, targets=None):
        if self.training:
            return {"loss": sum((self.weight * image).sum() ** 2 for image in images)}
        row = {"boxes": torch.tensor([[0.0, 0, 4, 4]]), "labels": torch.tensor([1]), "scores": torch.tensor([0.9])}
        return [row for _ in images]


def test_fgsm_on_a_detector():
    x = np.random.default_rng(0).random((5, 3, 8, 8), dtype=np.float32)
    detector = PyTorchObjectDetector(
        TinyDetector(), input_shape=(3, 8, 8), clip_values=(0, 1), channels_first=True, attack_losses=("loss",),
        device_type="cpu",
    )  # fmt: skip
    targets = detector.predict(x)
    for y in (targets, None):
        detector.model.eval()
        ours = FGSM(detector, eps=0.05, batch_size=2).generate(x, y)
        assert not detector.model.training
        theirs = FastGradientMethod(detector, eps=0.05, batch_size=2).generate(x, y)
        assert np.abs(ours - theirs).max() <= 1e-6
        assert np.abs(ours - x).max() > 0.04
    with pytest.raises(ValueError, match="minimal must be False"):
        FGSM(detector, minimal=True).generate(x, targets)


def test_inside_arts_own_tools(classifier_with, images, labels):
    model = mixed_model()
    classifier = classifier_with(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.01))
    AdversarialTrainer(classifier, PGD(classifier, **QUICK), ratio=0.5).fit(
        images, np.eye(4)[labels], nb_epochs=1, batch_size=5
    )
    adv = AutoAttack(classifier, eps=0.3, attacks=[PGD(classifier, **QUICK), FGSM(classifier)]).generate(images, labels)
    assert np.abs(adv - images).max() > 0


def test_attributes_pickles_and_repr(classifier, images, labels):
    attack = PGD(classifier, num_random_init=1, seed=3, **QUICK)
    assert "eps=0.1" in repr(attack)
    assert "seed=3" in repr(attack)
    first = attack.generate(images, labels)
    assert np.array_equal(attack.generate(images, labels), first), "nothing is left behind by a call"
    attack.set_params(eps=0.2, seed=4, max_iter=1)
    assert (attack.eps, attack.seed, attack.max_iter) == (0.2, 4, 1)
    attack.norm = 2  # as ART's trainers do
    assert attack.generate(images, labels).shape == images.shape


def test_summary_writer(classifier, images, labels, tmp_path):
    attack = PGD(classifier, summary_writer=str(tmp_path), **QUICK)
    attack.generate(images, labels)
    FGSM(classifier, summary_writer=str(tmp_path / "fgsm")).generate(images, labels)
    assert list(tmp_path.rglob("events*"))
