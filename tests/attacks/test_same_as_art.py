"""FGSM and PGD against ART's own attacks in the same process: at most 1e-6 apart."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import (
    FastGradientMethod,
    ProjectedGradientDescentNumpy,
    ProjectedGradientDescentPyTorch,
)
from art.defences.postprocessor.postprocessor import Postprocessor
from art.defences.preprocessor import SpatialSmoothing, SpatialSmoothingPyTorch
from art.estimators.classification import EnsembleClassifier
from art.estimators.regression import PyTorchRegressor
from torch import nn

from art_domainrand import FGSM, PGD

TOLERANCE = 1e-6
BUDGETS = {"inf": (0.1, 0.03), np.inf: (0.1, 0.03), 2: (0.8, 0.3), 1.5: (2.0, 0.7), 3: (0.6, 0.2)}


def both(ours, theirs, estimator, x, y, mask=None, **kwargs):
    """Adversarial examples of our attack and of ART's, from the same state of np.random."""
    results = []
    for attack in (ours, theirs):
        np.random.seed(3)
        results.append(attack(estimator, batch_size=4, **kwargs).generate(x, y, mask=mask))
    assert np.abs(results[1] - x).max() > 1e-3, "ART's own attack did nothing: the comparison would be empty"
    return results


def assert_same(ours, theirs, scale=1.0):
    assert ours.dtype == theirs.dtype
    assert np.abs(ours - theirs).max() <= TOLERANCE * scale


LABELS = {
    "none": lambda y: None,
    "index": lambda y: y,
    "one_hot": lambda y: np.eye(4, dtype=np.float32)[y],
    "soft": lambda y: (np.eye(4, dtype=np.float32)[y] * 0.7 + 0.075).astype(np.float32),
}
MASKS = {
    "none": None,
    "broadcast": np.random.default_rng(0).random((1, 8, 8)) > 0.4,
    "per_sample": (np.random.default_rng(1).random((10, 1, 8, 8)) > 0.4).astype(np.float32),
}
OPTIONS = {
    "plain": {},
    "momentum": {"decay": 0.9},
    "random_start": {"num_random_init": 1},
    "restarts": {"num_random_init": 3},
    "random_eps": {"random_eps": True},
}


# ART has no random start in norms other than 1, 2 and inf.
PAIRS = [
    (norm, name)
    for norm in BUDGETS
    for name, o in OPTIONS.items()
    if norm not in (1.5, 3) or not o.get("num_random_init")
]


@pytest.mark.parametrize("labels_as", LABELS)
@pytest.mark.parametrize(("norm", "options"), PAIRS)
def test_pgd(classifier, images, norm, labels_as, options):
    # The labels are the clean predictions: for others ART's restarts compare with the prediction instead (art.md).
    y = LABELS[labels_as](classifier.predict(images).argmax(1))
    eps, step = BUDGETS[norm]
    options = OPTIONS[options]
    if options.get("num_random_init", 0) > 1:
        eps, step = 3 * eps, 3 * step  # enough to break some images and not all
    budget = {"norm": norm, "eps": eps, "eps_step": step, "max_iter": 6, "verbose": False}
    ours, theirs = both(PGD, ProjectedGradientDescentPyTorch, classifier, images, y, **budget, **options)
    if options.get("num_random_init", 0) > 1:
        # Where no restart succeeds ART keeps the first and we the strongest.
        broken = classifier.predict(theirs).argmax(1) != classifier.predict(images).argmax(1)
        assert broken.any()
        ours, theirs = ours[broken], theirs[broken]
    assert_same(ours, theirs)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("norm", BUDGETS)
def test_pgd_targeted_and_masked(classifier, images, labels, norm, targeted, mask):
    eps, step = BUDGETS[norm]
    ours, theirs = both(
        PGD,
        ProjectedGradientDescentPyTorch,
        classifier,
        images,
        labels,
        mask=MASKS[mask],
        norm=norm,
        eps=eps,
        eps_step=step,
        max_iter=6,
        targeted=targeted,
        num_random_init=int(norm in (2, np.inf)),
        verbose=False,
    )
    assert_same(ours, theirs)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("labels_as", LABELS)
@pytest.mark.parametrize("norm", BUDGETS)
def test_fgsm(classifier, images, labels, norm, labels_as, mask):
    y = LABELS[labels_as](labels)
    start = int(norm in (2, np.inf))
    for targeted in (False, True) if y is not None else (False,):
        options = {"norm": norm, "eps": BUDGETS[norm][0], "targeted": targeted, "num_random_init": start}
        assert_same(*both(FGSM, FastGradientMethod, classifier, images, y, mask=MASKS[mask], **options))


@pytest.mark.parametrize("norm", BUDGETS)
def test_fgsm_minimal(classifier, images, norm):
    y = classifier.predict(images).argmax(1)
    eps = 10 * BUDGETS[norm][0]
    options = {"norm": norm, "eps": eps, "eps_step": eps / 40, "minimal": True}
    ours, theirs = both(FGSM, FastGradientMethod, classifier, images, y, **options)
    broken = classifier.predict(theirs).argmax(1) != y
    assert broken.any()
    assert_same(ours[broken], theirs[broken])


@pytest.mark.parametrize("shape", [(10, 1, 1, 1), (1, 8, 8), (1,)])
def test_eps_arrays(classifier, images, labels, shape):
    eps = np.random.default_rng(0).uniform(0.02, 0.2, shape)
    budget = {"eps": eps, "eps_step": eps / 4}
    options = {"max_iter": 6, "verbose": False, "num_random_init": int(shape == (1,))}
    pgd = both(PGD, ProjectedGradientDescentPyTorch, classifier, images, labels, **budget, **options)
    assert_same(*pgd)
    assert_same(*both(FGSM, FastGradientMethod, classifier, images, labels, **budget))
    random_eps = {"max_iter": 6, "verbose": False, "random_eps": True}
    assert_same(*both(PGD, ProjectedGradientDescentPyTorch, classifier, images, labels, **budget, **random_eps))


def test_eps_per_sample_in_l2(classifier, images, labels):
    eps = np.random.default_rng(0).uniform(0.2, 1, (10, 1, 1, 1))
    options = {"norm": 2, "eps": eps, "eps_step": eps / 4, "max_iter": 6, "verbose": False}
    assert_same(*both(PGD, ProjectedGradientDescentPyTorch, classifier, images, labels, **options))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(8, 12, batch_first=True), nn.Linear(12, 4)

    def forward(self, x):
        return self.head(self.rnn(x.squeeze(1))[0][:, -1])


def normalized(**kwargs):
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.Softplus(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(384, 4),
    )


ESTIMATORS = {
    "batchnorm_dropout": lambda make: make(normalized()),
    "rnn": lambda make: make(Recurrent()),
    "mean_std": lambda make: make(preprocessing=(np.array([0.4]), np.array([0.3]))),
    "no_preprocessing": lambda make: make(preprocessing=None),
    "pytorch_defence": lambda make: make(
        preprocessing_defences=SpatialSmoothingPyTorch(window_size=3, channels_first=True)
    ),
    "clip_none": lambda make: make(clip_values=None),
    "clip_wide": lambda make: make(clip_values=(-2.0, 3.0)),
    "clip_per_feature": lambda make: make(
        clip_values=(np.full((1, 8, 8), -0.1), np.linspace(0.5, 1.5, 64).reshape(1, 8, 8))
    ),
    "multi_margin_loss": lambda make: make(loss=nn.MultiMarginLoss(margin=100.0)),
    "custom_loss": lambda make: make(loss=SquaredError()),
    "sum_loss": lambda make: make(loss=nn.CrossEntropyLoss(reduction="sum")),
    "postprocessor": lambda make: make(postprocessing_defences=Rolled()),
    "training_mode": lambda make: train(make(normalized())),
}


class SquaredError(nn.MSELoss):
    """Takes targets in double, which ART's FGSM makes of predictions and torch 2.6 has no gradient for."""

    def forward(self, input, target):
        return super().forward(input, target.to(input))


class Rolled(Postprocessor):
    """Calls every class by its neighbour's name, and with it the labels that attacks take from predictions."""

    def __init__(self):
        super().__init__(is_fitted=True, apply_fit=False, apply_predict=True)

    def __call__(self, preds):
        return np.roll(preds, 1, axis=1)


def train(classifier):
    classifier.model.train()
    return classifier


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_estimators_on_the_device(classifier_with, images, labels, kind):
    estimator = ESTIMATORS[kind](classifier_with)
    if kind == "clip_per_feature":
        images = images * 0.5
    pgd = {"eps": 0.1, "eps_step": 0.03, "max_iter": 5, "num_random_init": 1, "verbose": False}
    for y in (labels, None):
        assert_same(*both(PGD, ProjectedGradientDescentPyTorch, estimator, images, y, **pgd))
        assert_same(*both(FGSM, FastGradientMethod, estimator, images, y, eps=0.1))


ARRAY_ESTIMATORS = {
    "numpy_defence": lambda make: make(preprocessing_defences=SpatialSmoothing(window_size=3, channels_first=True)),
    "ensemble": lambda make: EnsembleClassifier(
        [make(), make(normalized())], clip_values=(0.0, 1.0), channels_first=True
    ),
}


@pytest.mark.parametrize("kind", ARRAY_ESTIMATORS)
def test_estimators_through_numpy(classifier_with, images, labels, kind):
    estimator = ARRAY_ESTIMATORS[kind](classifier_with)
    options = {"eps": 0.1, "eps_step": 0.03, "max_iter": 5, "verbose": False}
    for norm in (np.inf, 2):
        for more in ({}, {"num_random_init": 1}, {"decay": 0.8}, {"targeted": True}):
            kwargs = options | more | {"norm": norm}
            assert_same(*both(PGD, ProjectedGradientDescentNumpy, estimator, images, labels, **kwargs))
        assert_same(*both(FGSM, FastGradientMethod, estimator, images, labels, eps=0.1, norm=norm, num_random_init=1))
    assert_same(*both(FGSM, FastGradientMethod, estimator, images, None, eps=0.1))


def test_regressor(images):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Softplus(), nn.Linear(8, 1))
    regressor = PyTorchRegressor(model, nn.MSELoss(), (1, 8, 8), clip_values=(0, 1), device_type="cpu")
    y = np.random.default_rng(0).random(10, dtype=np.float32)  # ART takes (N, 1) for (N, N): see test_regressors.py
    options = {"eps": 0.1, "eps_step": 0.03, "max_iter": 5, "verbose": False}
    assert_same(*both(PGD, ProjectedGradientDescentNumpy, regressor, images, y, **options))
    assert_same(*both(FGSM, FastGradientMethod, regressor, images, y, eps=0.1))
    own = regressor.predict(images)
    ours, _ = both(FGSM, FGSM, regressor, images, None, eps=0.1, num_random_init=1)
    _, theirs = both(FGSM, FastGradientMethod, regressor, images, own[:, 0], eps=0.1, num_random_init=1)
    assert_same(ours, theirs)


@pytest.mark.parametrize("cast", [np.uint8, np.float64, np.float16])
def test_input_types(classifier_with, images, labels, cast):
    estimator = classifier_with(clip_values=(0.0, 255.0), preprocessing=(0.0, 255.0))
    x = (images * 255).astype(cast)
    options = {"eps": 20.0, "eps_step": 6.0, "max_iter": 5, "verbose": False}
    pair = both(PGD, ProjectedGradientDescentPyTorch, estimator, x.astype(np.float32), labels, **options)
    assert_same(*pair, scale=255)
    from_cast = PGD(estimator, batch_size=4, **options).generate(x, labels)
    from_float = PGD(estimator, batch_size=4, **options).generate(x.astype(np.float32), labels)
    assert from_cast.dtype == np.float32
    assert np.array_equal(from_cast, from_float)


def test_perturb_is_generate_on_tensors(classifier, images, labels):
    options = {"eps": 0.1, "eps_step": 0.03, "max_iter": 5, "num_random_init": 2, "seed": 4, "verbose": False}
    arrays = PGD(classifier, **options).generate(images, labels, mask=MASKS["broadcast"])
    tensors = PGD(classifier, **options).perturb(
        torch.from_numpy(images), torch.from_numpy(labels), torch.from_numpy(MASKS["broadcast"])
    )
    assert isinstance(tensors, torch.Tensor)
    assert tensors.device == classifier.device
    assert np.array_equal(arrays, tensors.numpy())
    assert np.array_equal(
        arrays, PGD(classifier, **options).generate(torch.from_numpy(images), labels.tolist(), mask=MASKS["broadcast"])
    )
