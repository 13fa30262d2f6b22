"""Rows of the contract: ART's detectors of adversarial images, postprocessors and NumPy preprocessors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from art.defences.detector.evasion import (
    BeyondDetectorPyTorch,
    BinaryActivationDetector,
    BinaryInputDetector,
    SubsetScanningDetector,
)
from art.defences.postprocessor import ClassLabels, GaussianNoise, HighConfidence, ReverseSigmoid, Rounded
from art.defences.preprocessor import FeatureSqueezing
from compatibility.contract import (
    ATTACKS,
    INDEX,
    SINGLE,
    MakeAttack,
    N,
    Row,
    X,
    Y,
    assert_attacked,
    assert_same_training,
    attack_raises_the_loss,
    classifier,
    one_draw,
    randomization,
    seeded,
)
from torch import nn

from art_domainrand import DifferentiableDefence

from support.estimators import CLASSES, SHAPE, cnn

IS_ADVERSARIAL = np.eye(2, dtype=np.float32)[np.repeat([0, 1], N)]


def telling_apart(features: tuple[int, ...], defence: Any = None) -> Any:
    """A linear classifier in two: clean and adversarial."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(features)), 2))
    adam = torch.optim.Adam(model.parameters(), 0.1)
    return classifier(defence, model, optimizer=adam, input_shape=features, nb_classes=2)


def input_detector(defence: Any = None) -> BinaryInputDetector:
    return BinaryInputDetector(telling_apart(SHAPE, defence))


def flags(detector: Any, x: np.ndarray, adversarial: np.ndarray) -> float:
    """Train a detector to tell two sets of images apart; return the share it tells right."""
    both = np.concatenate([x, adversarial])
    torch.manual_seed(0)
    detector.fit(both, IS_ADVERSARIAL, batch_size=2 * N, nb_epochs=1500, verbose=False)
    return float((detector.detect(both)[1] == IS_ADVERSARIAL[:, 1]).mean())


def input_detector_with_randomization() -> None:
    once = randomization()(X)[0]
    pair = [input_detector(randomization(apply_predict=False)), input_detector()]
    y = IS_ADVERSARIAL[::2]

    def train(estimator: Any, which: int) -> None:
        pair[which].fit(once if which else X, y, batch_size=3, nb_epochs=1)

    assert_same_training(pair[0].detector, pair[1].detector, train)


def input_detector_with_attack(make: MakeAttack) -> None:
    """It learns to tell our images from clean ones, and is itself attacked through ``detector``."""
    detector = input_detector()
    assert flags(detector, X, make(classifier()).generate(X, INDEX)) > 0.8
    y = np.zeros(N, dtype=int)
    adversarial = make(detector.detector).generate(X, y)
    assert (detector.detector.compute_loss(adversarial, y).mean()) > detector.detector.compute_loss(X, y).mean()


def activation_detector(defence: Any = None) -> BinaryActivationDetector:
    return BinaryActivationDetector(classifier(defence), telling_apart((96,)), layer=3)


def activations_of_the_randomized_images(make: Callable[[Any], Any]) -> Callable[[], None]:
    def check() -> None:
        defence = randomization()
        with one_draw(defence):
            shown = defence(X)[0]
            given = make(defence)._get_activations(X, 3, N)
        np.testing.assert_allclose(given, make(None)._get_activations(shown, 3, N), atol=1e-5)

    return check


def activation_detector_with_attack(make: MakeAttack) -> None:
    detector = activation_detector()
    assert flags(detector, X, make(detector.classifier).generate(X, INDEX)) > 0.8


def scanning_detector(defence: Any = None) -> SubsetScanningDetector:
    return SubsetScanningDetector(classifier(defence), X, layer=3, verbose=False)


def scanning_with_attack(make: MakeAttack) -> None:
    detector = scanning_detector()
    adversarial = make(detector.classifier).generate(X, INDEX)
    clean, found, power = detector.scan(X, adversarial)
    assert clean.shape == found.shape == (N,)
    assert 0.5 < power <= 1


class SelfSupervised(nn.Module):
    """The three parts that BEYOND asks of its second model."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(64, 8))
        self.classifier, self.projector = nn.Linear(8, CLASSES), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.backbone(x))


def beyond() -> BeyondDetectorPyTorch:
    """Its neighbours are draws of our pipeline, a fresh one for each image and each neighbour."""
    model = seeded(SelfSupervised())
    return BeyondDetectorPyTorch(
        classifier(), classifier(model=model), randomization().pipeline, aug_num=6, var_K=3, percentile=50
    )


def beyond_with_randomization() -> None:
    detector = beyond()
    neighbours = detector._multi_transform(torch.from_numpy(X))
    assert len(torch.unique(neighbours.flatten(0, 1).flatten(1), dim=0)) == 6 * N
    detector.fit(X, Y)
    report, flagged = detector.detect(X)
    assert np.isfinite(report).all()
    assert flagged.shape == (N,)


def beyond_with_attack(make: MakeAttack) -> None:
    """What it reports is about the images that it is given: clean and adversarial ones differ, to it too."""
    detector = beyond()
    adversarial = make(classifier()).generate(X, INDEX)
    reports = []
    for x in (X, adversarial):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            detector.fit(X, Y)
            reports.append(detector.detect(x)[0])
    assert not np.allclose(*reports)


POSTPROCESSORS: dict[str, Callable[[], Any]] = {
    "class_labels": ClassLabels,
    "gaussian_noise": lambda: GaussianNoise(scale=0.01),
    "high_confidence": lambda: HighConfidence(cutoff=0.05),
    "reverse_sigmoid": ReverseSigmoid,
    "rounded": lambda: Rounded(decimals=4),
}


def probable(name: str | None, defence: Any = None) -> Any:
    """A classifier of probabilities, which the postprocessors ask for."""
    post = POSTPROCESSORS[name]() if name else None
    return classifier(defence, seeded(cnn()).append(nn.Softmax(1)), postprocessing_defences=post)


def post_of_the_randomized_images(name: str) -> Callable[[], None]:
    def check() -> None:
        defence = randomization()
        with one_draw(defence):
            shown = defence(X)[0]
            np.random.seed(0)
            given = probable(name, defence).predict(X)
        np.random.seed(0)
        np.testing.assert_allclose(given, POSTPROCESSORS[name]()(probable(None).predict(shown)), atol=1e-5)

    return check


def attacked_behind(name: str) -> Callable[[MakeAttack], None]:
    """The loss is of the model, which a postprocessor does not change, so that its gradient is not hidden by one."""

    def check(make: MakeAttack) -> None:
        adversarial = attack_raises_the_loss(probable(name), make)
        if make in (ATTACKS["FGSM"], ATTACKS["PGD"]):  # the others look at what is predicted
            np.testing.assert_allclose(adversarial, make(probable(None)).generate(X, INDEX), atol=1e-6)

    return check


def squeezed(at_random: bool = True) -> Any:
    around = [randomization(apply_predict=at_random) for _ in range(2)]
    return classifier([around[0], DifferentiableDefence(FeatureSqueezing((0, 1), bit_depth=3)), around[1]])


def numpy_with_randomization() -> None:
    """ART refuses a chain with a NumPy-only defence; wrapped, it stands anywhere, and gradients pass."""
    refused = classifier([randomization(), FeatureSqueezing((0, 1), bit_depth=3)])
    with pytest.raises(NotImplementedError, match="combination of preprocessing types is not supported"):
        refused.predict(X)
    chain = squeezed()
    assert chain.predict(X).shape == (N, CLASSES)
    assert np.abs(chain.loss_gradient(X, Y)).max() > 0
    levels = DifferentiableDefence(FeatureSqueezing((0, 1), bit_depth=3))(X)[0]
    np.testing.assert_allclose(levels * 7, np.rint(levels * 7), atol=1e-5)


def numpy_with_attack(make: MakeAttack) -> None:
    averages_many_draws = make is ATTACKS["StrongestAttack"]  # which takes seconds here
    assert_attacked(X, make(squeezed(at_random=not averages_many_draws)).generate(X, INDEX))


ROWS = [
    Row(
        "numpy_defence",
        "NumPy preprocessors (FeatureSqueezing)",
        "chained by `DifferentiableDefence`, which ART refuses without",
        "through it, by BPDA",
        numpy_with_randomization,
        numpy_with_attack,
    ),
    Row(
        "input_detector",
        "BinaryInputDetector",
        "in its classifier",
        "learns from their images; `detector.detector` is attacked",
        input_detector_with_randomization,
        input_detector_with_attack,
        attacks=SINGLE,
    ),
    Row(
        "activation_detector",
        "BinaryActivationDetector",
        "in the classifier that it watches",
        "learns from their images",
        activations_of_the_randomized_images(activation_detector),
        activation_detector_with_attack,
        attacks=SINGLE,
    ),
    Row(
        "scanning_detector",
        "SubsetScanningDetector",
        "in the classifier that it watches",
        "scans their images",
        activations_of_the_randomized_images(scanning_detector),
        scanning_with_attack,
    ),
    Row(
        "beyond",
        "BeyondDetectorPyTorch",
        "a pipeline is its `augmentations`; it calls the model past all defences",
        "judges their images",
        beyond_with_randomization,
        beyond_with_attack,
    ),
] + [
    Row(
        name,
        type(make()).__name__,
        "applied to the predictions of the draw",
        "the gradient is the model's own",
        post_of_the_randomized_images(name),
        attacked_behind(name),
    )
    for name, make in POSTPROCESSORS.items()
]
