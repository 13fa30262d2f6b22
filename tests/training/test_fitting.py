"""``fit_randomized`` is ART's ``fit``, bit for bit, but for images that are new in every epoch."""

import copy
import inspect
import sys
import types
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod
from art.defences.preprocessor import SpatialSmoothing
from art.defences.trainer import AdversarialTrainer
from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing
from art.estimators.certification.randomized_smoothing.smooth_adv.pytorch import PyTorchSmoothAdv
from art.estimators.classification import EnsembleClassifier, PyTorchClassifier
from art.estimators.object_detection import PyTorchObjectDetector
from art.estimators.regression import PyTorchRegressor
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from art_domainrand import FGSM, PGD, DomainRandomization, RandomizedDataGenerator
from art_domainrand.data import digits
from art_domainrand.randomization import Brightness, Flip, MixUp, Pipeline, Translation
from art_domainrand.training.fitting import fit_randomized

from support.differentiable import Widened
from support.estimators import CLASSES, SHAPE, cnn, make_classifier

N = 22
X = np.random.default_rng(0).random((N, *SHAPE), dtype=np.float32) * 0.6 + 0.1
Y = np.arange(N) % CLASSES
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[Y]
UNCHANGED = Brightness(0.0)


def trainable(model=None, **options):
    """A classifier whose training depends on order, batches, mode and torch's generator."""
    if model is None:
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten())
        model.append(nn.Linear(144, CLASSES))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return make_classifier(model, optimizer=optimizer, **options)


def assert_same_weights(one, two, same=True):
    pairs = zip(one.model.state_dict().values(), two.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs) == same


@contextmanager
def recorded(monkeypatch):
    """The draws of every randomized batch."""
    draws = []
    plain = DomainRandomization.randomize
    with monkeypatch.context() as patched:
        patched.setattr(DomainRandomization, "randomize", lambda s, x, d: draws.append(d.u.clone()) or plain(s, x, d))
        yield draws


@pytest.mark.parametrize(
    ("estimator", "fit"),
    [
        ({}, {}),
        ({}, {"drop_last": True, "batch_size": 5}),
        ({}, {"training_mode": False}),
        ({"preprocessing": (0.4, 0.3)}, {}),
        ({"preprocessing": (np.full((1, 1, 1), 0.4), np.full((1, 1, 1), 0.3))}, {}),
        ({"preprocessing_defences": SpatialSmoothing(apply_fit=True)}, {}),
        ({"preprocessing_defences": DomainRandomization(Flip(1.0), seed=0)}, {}),
    ],
    ids=["plain", "drop_last", "eval mode", "standardised", "standardised by arrays", "NumPy defence", "own defence"],
)
@pytest.mark.parametrize("labels", [Y, ONE_HOT, Y[:, None]], ids=["index", "one-hot", "column"])
def test_it_is_arts_fit_bit_for_bit_where_nothing_is_randomized(estimator, fit, labels):
    settings = {"batch_size": 8, "nb_epochs": 3, **fit}
    theirs, *ours = (trainable(**estimator) for _ in range(3))
    schedulers = [torch.optim.lr_scheduler.StepLR(c.optimizer, 1, 0.5) for c in (theirs, *ours)]
    torch.manual_seed(7)
    theirs.fit(X, labels, scheduler=schedulers[0], **settings)
    after = torch.get_rng_state()
    for classifier, scheduler, pipeline in zip(ours, schedulers[1:], (UNCHANGED, None), strict=True):
        torch.manual_seed(7)
        fit_randomized(classifier, X, labels, randomization=pipeline, scheduler=scheduler, **settings)
        assert_same_weights(theirs, classifier)
        assert torch.equal(after, torch.get_rng_state())
        assert classifier.model.training == theirs.model.training
        assert scheduler.get_last_lr() == schedulers[0].get_last_lr()
    assert_same_weights(theirs, trainable(**estimator), same=False)


@pytest.mark.parametrize("outputs", [1, 2])
def test_binary_labels_are_reduced_as_in_arts_fit(outputs):
    def make():
        loss = nn.BCEWithLogitsLoss() if outputs == 1 else nn.CrossEntropyLoss()
        return trainable(nn.Sequential(nn.Flatten(), nn.Linear(64, outputs)), loss=loss, nb_classes=2)

    theirs, ours = make(), make()
    torch.manual_seed(7)
    theirs.fit(X, Y % 2, batch_size=8, nb_epochs=2)
    torch.manual_seed(7)
    fit_randomized(ours, X, Y % 2, randomization=None, batch_size=8, nb_epochs=2)
    assert_same_weights(theirs, ours)


def test_a_defence_that_widens_images_trains():
    classifier = trainable(preprocessing_defences=Widened((0, 1), bit_depth=3, apply_fit=True))
    with pytest.raises(RuntimeError, match="double"):  # float64, with which ART's own fit fails
        classifier.fit(X, Y, nb_epochs=1)
    fit_randomized(classifier, X, Y, randomization=UNCHANGED, nb_epochs=1)


def test_arguments_that_art_has_mean_and_default_to_the_same():
    wrapped = next(cell.cell_contents for cell in PyTorchClassifier.fit.__closure__ if "fit" in cell.cell_contents)
    theirs = inspect.signature(wrapped["fit"]).parameters
    assert {"batch_size", "nb_epochs", "training_mode", "drop_last", "scheduler", "verbose"} <= set(theirs)
    ours = inspect.signature(fit_randomized).parameters
    for name in set(theirs) - {"self", "x", "y", "kwargs"}:
        assert ours[name].default == theirs[name].default


def test_every_batch_of_every_epoch_has_new_draws(monkeypatch):
    with recorded(monkeypatch) as draws:
        fit_randomized(trainable(), X, Y, randomization=Brightness((-0.1, 0.1)), batch_size=8, nb_epochs=3, seed=0)
    assert [len(u) for u in draws] == [8, 8, 6] * 3
    assert len(torch.unique(torch.cat(draws))) == 3 * N


def test_the_classifiers_own_randomization_is_drawn_anew_too(monkeypatch):
    own = DomainRandomization(Brightness((-0.1, 0.1)), seed=0)
    drawn = []
    plain = own.sample
    monkeypatch.setattr(own, "sample", lambda *args: drawn.append(plain(*args)) or drawn[-1])
    fit_randomized(trainable(preprocessing_defences=own), X, Y, batch_size=8, nb_epochs=3)
    assert len(torch.unique(torch.cat([draw.u for draw in drawn]))) == 3 * N
    drawn.clear()
    trainable(preprocessing_defences=own).fit(X, Y, batch_size=8, nb_epochs=3)
    assert len(torch.unique(torch.cat([draw.u for draw in drawn]))) == N  # which is what it is for


def test_the_seed_repeats_order_and_draws():
    def trained(seed, torch_seed=0):
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))  # no dropout, which is torch's own
        classifier = trainable(model)
        torch.manual_seed(torch_seed)
        fit_randomized(classifier, X, Y, randomization=Brightness((-0.1, 0.1)), batch_size=8, nb_epochs=2, seed=seed)
        return classifier

    before = torch.manual_seed(1).get_state()
    assert_same_weights(trained(0), trained(0, torch_seed=1))
    assert torch.equal(before, torch.get_rng_state())
    assert_same_weights(trained(0), trained(1), same=False)
    assert_same_weights(trained(None), trained(None), same=False)


def test_datasets_and_loaders_train_alike():
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    trained = []
    for x, y in ((X, Y), (data, None), (DataLoader(data, batch_size=3, shuffle=True, num_workers=1), None)):
        trained.append(trainable(nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))))
        fit_randomized(trained[-1], x, y, randomization=Brightness((-0.1, 0.1)), batch_size=8, nb_epochs=2, seed=0)
    assert_same_weights(trained[0], trained[1])
    assert_same_weights(trained[0], trained[2])


def test_the_loss_that_is_stepped_on_is_that_of_the_randomized_batch():
    classifier, by_hand = (trainable(cnn(), preprocessing=(0.4, 0.3)) for _ in range(2))
    fit_randomized(classifier, X, Y, randomization=Brightness(0.2), batch_size=N, nb_epochs=1, clip_values=(0, 1))
    loss = nn.functional.cross_entropy(by_hand.model((torch.from_numpy(X) + 0.2 - 0.4) / 0.3), torch.from_numpy(Y))
    loss.backward()
    by_hand.optimizer.step()
    for a, b in zip(classifier.model.parameters(), by_hand.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("attack_type", [FGSM, FastGradientMethod])
def test_adversarial_images_are_those_of_the_model_as_it_is_trained(attack_type):
    """Half of a batch is the attack on the other half; one step on it, done by hand, gives the same weights."""
    classifier, by_hand = (trainable(cnn()) for _ in range(2))
    options = {"randomization": Brightness(0.2), "batch_size": 2 * N, "nb_epochs": 2}
    fit_randomized(classifier, X, Y, attack=attack_type(classifier, eps=0.1), **options)
    attack = FGSM(by_hand, eps=0.1)
    for _ in range(2):
        shown = X + np.float32(0.2)
        batch = np.concatenate((shown, attack.generate(shown, y=Y)))
        by_hand.fit(batch, np.concatenate((Y, Y)), batch_size=2 * N, nb_epochs=1)
    for a, b in zip(classifier.model.parameters(), by_hand.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_the_model_trains_in_training_mode_whatever_the_attack_leaves():
    classifier = trainable()
    before = classifier.model[1].running_mean.clone()
    attack = FastGradientMethod(classifier, eps=0.1)
    fit_randomized(classifier, X, Y, randomization=UNCHANGED, attack=attack, batch_size=8, nb_epochs=1)
    assert classifier.model.training
    assert not torch.equal(before, classifier.model[1].running_mean)


def test_mixed_images_train_on_soft_labels():
    losses = []

    class Loss(nn.CrossEntropyLoss):
        def forward(self, outputs, labels):
            losses.append(labels)
            return super().forward(outputs, labels)

    classifier = trainable(loss=Loss())
    classifier._probability_labels = True  # ART knows this of torch's own class only
    fit_randomized(classifier, X, Y, randomization=UNCHANGED, mixing=MixUp(1.0), batch_size=8, nb_epochs=1)
    assert all(labels.shape[1] == CLASSES and labels.is_floating_point() for labels in losses)
    assert ((torch.cat(losses) > 0.01).sum(1) == 2).any()


def test_estimators_with_a_fit_of_their_own_train_by_it():
    seen = []

    class Smoothing(PyTorchRandomizedSmoothing):
        def fit(self, x, y, **options):
            seen.append((x, y, options))
            super().fit(x, y, **options)

    model = cnn()
    smoothed = Smoothing(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.05),
        input_shape=SHAPE,
        nb_classes=CLASSES,
        clip_values=(0, 1),
        device_type="cpu",
        scale=0.1,
    )
    before = model[0].weight.detach().clone()
    fit_randomized(smoothed, X, Y, randomization=Brightness((-0.1, 0.1)), batch_size=8, nb_epochs=2, seed=0)
    assert [len(x) for x, _, _ in seen] == [8, 8, 6] * 2
    assert model.training
    assert not np.isin(seen[0][0], X).all()
    assert not torch.equal(before, model[0].weight)
    fit_randomized(smoothed, X, Y, randomization=UNCHANGED, nb_epochs=1, training_mode=False)
    assert not model.training


def test_a_regressor_trains():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    regressor = PyTorchRegressor(
        model, loss=nn.MSELoss(), optimizer=optimizer, input_shape=SHAPE, clip_values=(0, 1), device_type="cpu"
    )
    target = X.mean((1, 2, 3))

    def error():
        return float(np.square(regressor.predict(X).flatten() - target).mean())

    before, untrained = error(), copy.deepcopy(model.state_dict())
    options = {"randomization": Flip(0.5), "batch_size": 8, "nb_epochs": 20, "seed": 0}
    fit_randomized(regressor, X, target, **options)
    assert error() < before / 2
    trained = model[1].weight.detach().clone()
    model.load_state_dict(untrained)
    fit_randomized(regressor, X, target[:, None], **options)
    torch.testing.assert_close(model[1].weight.detach(), trained)  # a column of targets is the same targets


class Detector(nn.Module):
    """Learns one box, by a loss that it computes itself, as torchvision's detectors do."""

    def __init__(self):
        super().__init__()
        self.box = nn.Parameter(torch.zeros(4))

    def forward(self, x, targets):
        return {"loss": sum(((self.box - target["boxes"]) ** 2).sum() for target in targets) / len(x)}


@pytest.mark.parametrize("way", ["fit_randomized", "fit_generator"])
def test_a_detector_trains_on_boxes_that_follow(way):
    model = Detector()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.4)
    options = {"input_shape": SHAPE, "clip_values": (0, 1), "channels_first": True, "device_type": "cpu"}
    detector = PyTorchObjectDetector(model, optimizer=optimizer, attack_losses=("loss",), **options)
    boxes = [{"boxes": np.array([[0, 1, 3, 4]], dtype=np.float32), "labels": np.array([1])} for _ in range(N)]
    if way == "fit_randomized":
        fit_randomized(detector, X, boxes, randomization=Flip(1.0), batch_size=8, nb_epochs=4)
    else:
        data = RandomizedDataGenerator(X, boxes, randomization=Flip(1.0), batch_size=8, proportions=(0, 1, 0))
        detector.fit_generator(data, nb_epochs=4)
    torch.testing.assert_close(model.box.detach(), torch.tensor([5.0, 1.0, 8.0, 4.0]), rtol=0, atol=1e-3)


def test_mixed_precision_of_apex_is_used_where_the_classifier_uses_it(monkeypatch):
    scaled = []

    @contextmanager
    def scale_loss(loss, optimizer):
        scaled.append(optimizer)
        yield loss

    amp = types.SimpleNamespace(scale_loss=scale_loss)
    monkeypatch.setitem(sys.modules, "apex", types.SimpleNamespace(amp=amp))
    classifier = trainable()
    classifier._use_amp = True
    fit_randomized(classifier, X, Y, randomization=UNCHANGED, batch_size=8, nb_epochs=1)
    assert scaled == [classifier.optimizer] * 3


def test_fresh_draws_teach_more_than_frozen_ones():
    """Digits moved by up to two of their eight pixels, from 200 examples: the gain was 9 to 25 points in ten seeds."""
    train, test = digits(size=8)
    x, y = train.x[:200], train.y[:200]
    moves = Pipeline(Translation(x=(-0.25, 0.25), y=(-0.25, 0.25)))
    moved, _ = DomainRandomization(moves, seed=9)(test.x)

    def trainable_on_digits(defence=None):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
        return PyTorchClassifier(
            model,
            loss=nn.CrossEntropyLoss(),
            optimizer=optimizer,
            input_shape=(1, 8, 8),
            nb_classes=10,
            preprocessing_defences=defence,
            clip_values=(0, 1),
            device_type="cpu",
        )

    frozen, fresh = trainable_on_digits(DomainRandomization(moves, seed=0)), trainable_on_digits()
    frozen.fit(x, y, batch_size=64, nb_epochs=60)
    fit_randomized(fresh, x, y, randomization=moves, batch_size=64, nb_epochs=60, seed=0)
    accuracies = [float((c.predict(moved).argmax(1) == test.y).mean()) for c in (frozen, fresh)]
    assert accuracies[1] > accuracies[0] + 0.06, accuracies


def _without_optimizer():
    return make_classifier()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"classifier": _without_optimizer()}, ValueError, "classifier must have an optimizer, got optimizer=None"),
        ({"classifier": cnn()}, TypeError, "classifier must be an estimator of ART, got Sequential"),
        ({"nb_epochs": -1}, ValueError, "nb_epochs must be >= 0, got -1"),
        ({"batch_size": 0}, ValueError, "batch_size must be >= 1, got 0"),
        ({"training_mode": 1}, ValueError, "training_mode must be a bool"),
        ({"callbacks": []}, TypeError, "unexpected keyword argument 'callbacks'"),
        ({"proportions": (1, 1, 1)}, ValueError, "no adversarial part where attack is None"),
        ({"x": X * 3}, ValueError, "x must lie within clip_values"),
        ({"y": None}, ValueError, "y must be given where x is an array"),
        ({"y": [{"boxes": np.zeros((0, 4))}] * N}, ValueError, "y must hold class labels for a classifier"),
        ({"y": Y + 2}, ValueError, "y must hold classes from 0 to 3, got"),
        (
            {"classifier": EnsembleClassifier([make_classifier()], channels_first=True)},
            TypeError,
            "classifier must be no ensemble: ART tra",
        ),
        ({"attack": "pgd"}, TypeError, "attack must be an attack of ART"),
        (
            {"randomization": DomainRandomization(UNCHANGED), "channels_first": True},
            ValueError,
            "channels_first must be None",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_bad_arguments_are_refused(options, error, message):
    arguments = {"classifier": trainable(), "x": X, "y": Y, "randomization": UNCHANGED, "nb_epochs": 1, **options}
    with pytest.raises(error, match=message):
        fit_randomized(**arguments)


def test_trainers_are_sent_to_their_fit_generator():
    classifier = trainable()
    trainer = AdversarialTrainer(classifier, PGD(classifier, max_iter=1))
    with pytest.raises(TypeError, match=r"not a trainer; use trainer.fit_generator\(RandomizedDataGenerator"):
        fit_randomized(trainer, X, Y, randomization=UNCHANGED)


class FunctionalNorm(nn.Module):
    """Batch normalization that no module shows."""

    def forward(self, x):
        return nn.functional.batch_norm(x, None, None, training=True) if self.training else x


def test_a_last_batch_of_one_says_what_to_do():
    model = nn.Sequential(nn.Flatten(), FunctionalNorm(), nn.Linear(64, CLASSES))
    with pytest.raises(ValueError, match="Expected more than 1 value") as raised:
        fit_randomized(trainable(model), X, Y, randomization=UNCHANGED, batch_size=7, nb_epochs=1)
    assert "drop_last=True" in raised.value.__notes__[0]


def test_smoothing_against_attacks_warms_up_as_in_arts_fit():
    def radii(train):
        seen = []
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))
        smooth = PyTorchSmoothAdv(
            model,
            nn.CrossEntropyLoss(),
            SHAPE,
            CLASSES,
            torch.optim.SGD(model.parameters(), 0.01),
            epsilon=2,
            warmup=2,
            num_steps=1,
            device_type="cpu",
        )
        smooth.attack = types.SimpleNamespace(norm=0.0)
        smooth.attack.generate = lambda x, y=None, **kwargs: seen.append(smooth.attack.norm) or x
        train(smooth)
        assert smooth.warmup == 2
        return seen

    of_art = radii(lambda smooth: smooth.fit(X, Y, batch_size=11, nb_epochs=3))
    assert (
        radii(lambda s: fit_randomized(s, X, Y, randomization=UNCHANGED, batch_size=11, nb_epochs=3, seed=0)) == of_art
    )
    assert len(set(of_art)) == 2
