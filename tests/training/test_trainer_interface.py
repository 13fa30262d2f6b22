"""DomainAdversarialTrainer: preprocessing, ART's interface, everything else as found, and what it refuses."""

import random

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.data_generators import NumpyDataGenerator, PyTorchDataGenerator
from art.defences.preprocessor import FeatureSqueezing, GaussianAugmentation
from art.defences.trainer import Trainer
from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing
from art.estimators.classification import PyTorchClassifier
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from art_domainrand import (
    FGSM,
    PGD,
    AutoPGD,
    DifferentiableDefence,
    DomainAdversarialTrainer,
    DomainRandomization,
    randomized,
)

from support.estimators import CLASSES, SHAPE, cnn
from support.trainer import (
    BRIGHT,
    EPS,
    NOISE,
    Inputs,
    assert_same,
    corners,
    differs,
    fit,
    robust_accuracy,
    trainable,
    trainer_of,
    weights,
    with_dropout,
)

# Preprocessing


def test_images_are_standardised_as_in_art() -> None:
    classifier = trainable(preprocessing=(0.4, 0.5))
    inputs = Inputs(classifier.model)
    fit(classifier, n=16, batch=16)
    x = torch.from_numpy(corners(16)[0])
    shown = inputs.trained[0] * 0.5 + 0.4
    assert float((shown.unsqueeze(1) - x).abs().amax((2, 3, 4)).amin(1).max()) <= EPS + 1e-5


def test_defences_of_the_classifier_run_in_training() -> None:
    squeezing = DifferentiableDefence(FeatureSqueezing(clip_values=(0, 1), bit_depth=2, apply_fit=True))
    classifier = trainable(preprocessing_defences=[squeezing])
    inputs = Inputs(classifier.model)
    fit(classifier, n=16, batch=16)
    assert {round(v * 3, 4) for v in inputs.trained[0].flatten().tolist()} == {0.0, 1.0, 2.0, 3.0}


@pytest.mark.parametrize("apply_fit", [True, False])
def test_the_classifiers_own_randomization_draws_afresh_in_training(apply_fit: bool) -> None:
    own = DomainRandomization(NOISE, seed=0, apply_fit=apply_fit)
    classifier = trainable(preprocessing_defences=[own], rate=1e-9)
    inputs = Inputs(classifier.model)
    trainer = trainer_of(classifier, objective="madry", starts=0)
    trainer.fit_generator(NumpyDataGenerator(*corners(16), batch_size=16), nb_epochs=2)
    assert torch.allclose(*inputs.trained, atol=1e-4) != apply_fit


def with_module(**options) -> PyTorchClassifier:
    return trainable(nn.Sequential(randomized(nn.Sequential(*cnn()), NOISE, seed=0)), **options)


OWN_RANDOMNESS = {
    "preprocessor": lambda: trainable(preprocessing_defences=[DomainRandomization(NOISE, seed=0)]),
    "module": with_module,
    "numpy": lambda: trainable(
        preprocessing_defences=[DifferentiableDefence(GaussianAugmentation(0.1, augmentation=False), apply_fit=True)]
    ),
}


@pytest.mark.parametrize("own", OWN_RANDOMNESS)
@pytest.mark.parametrize("objective", ["trades", "mart", "consistency"])
def test_views_that_are_compared_see_one_draw_of_the_classifiers_own_randomization(objective: str, own: str) -> None:
    classifier = OWN_RANDOMNESS[own]()
    inputs = Inputs(classifier.model[0].model if own == "module" else classifier.model)
    trainer = trainer_of(classifier, objective=objective)
    trainer.attack = PGD(classifier, eps=0.0, eps_step=0.1, max_iter=1, verbose=False)
    trainer.fit(*corners(16), batch_size=16, nb_epochs=1)
    parts = inputs.trained[0].split(16)
    assert len(parts) == (4 if objective == "consistency" else 2)
    assert all(torch.equal(part, parts[0]) for part in parts)
    assert not any(
        torch.equal(image, other) for image, other in zip(parts[0], torch.from_numpy(corners(16)[0]), strict=True)
    )


def test_a_processor_of_hugging_face_runs_in_training_as_in_prediction() -> None:
    classifier = trainable()
    classifier.processor = lambda images: 0.25 * images
    inputs = Inputs(classifier.model)
    fit(classifier, n=16, batch=16)
    assert float(inputs.trained[0].max()) <= 0.25
    assert float(inputs.trained[0].max()) > 0.15


def test_an_estimator_that_adds_to_training_is_refused() -> None:
    model = cnn()
    smoothed = PyTorchRandomizedSmoothing(
        model,
        nn.CrossEntropyLoss(),
        SHAPE,
        CLASSES,
        torch.optim.SGD(model.parameters(), 0.1),
        clip_values=(0, 1),
        device_type="cpu",
    )
    with pytest.raises(
        ValueError, match=r"classifier must train as PyTorchClassifier does .* got PyTorchRandomizedSmoo"
    ):
        trainer_of(smoothed)


def test_one_step_training_is_watched_on_the_batches_of_a_generator_too() -> None:
    trainer = trainer_of(trainable(), objective="fast")
    trainer.fit_generator(NumpyDataGenerator(*corners(16), batch_size=8), nb_epochs=1)
    assert {"train_robust", "train_fast", "overfitted"} <= set(trainer.history[0])


class FunctionalNorm(nn.Module):
    """Batch normalization that no module shows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.batch_norm(x, None, None, training=True) if self.training else x


def test_a_last_batch_of_one_image_gets_advice() -> None:
    model = nn.Sequential(nn.Flatten(), FunctionalNorm(), nn.Linear(64, CLASSES))
    with pytest.raises(ValueError, match="more than 1 value per channel") as error:
        fit(trainable(model), n=9, batch=8)
    assert any("change batch_size" in note for note in error.value.__notes__)


def test_a_numpy_defence_is_refused_with_the_name_of_what_helps() -> None:
    classifier = trainable(preprocessing_defences=[FeatureSqueezing(clip_values=(0, 1))])
    with pytest.raises(ValueError, match=r"DifferentiableDefence\(defence\), got FeatureSqueezing"):
        trainer_of(classifier)


# ART's interface


def test_it_is_a_trainer_of_art() -> None:
    classifier = trainable()
    trainer = trainer_of(classifier)
    assert isinstance(trainer, Trainer)
    assert trainer.get_classifier() is trainer.classifier is classifier
    x, _ = corners(5)
    assert np.array_equal(trainer.predict(x, batch_size=2), classifier.predict(x, batch_size=2))


def test_labels_may_be_indices_columns_or_one_hot() -> None:
    x, y = corners(32)
    found = []
    for labels in (y, y[:, None], np.eye(4)[y], torch.from_numpy(y)):
        classifier = trainable()
        trainer_of(classifier).fit(x, labels, batch_size=16, nb_epochs=1, validation_data=(x, labels))
        found.append(weights(classifier))
    for other in found[1:]:
        assert_same(found[0], other)


@pytest.mark.parametrize("kind", ["numpy", "pytorch", "randomized"])
def test_generators_of_art_train(kind: str) -> None:
    from art_domainrand.training.data.generator import RandomizedDataGenerator

    x, y = corners(96)
    one_hot = np.eye(4, dtype=np.float32)[y]
    if kind == "numpy":
        generator = NumpyDataGenerator(x, one_hot, batch_size=32, shuffle=True)
    elif kind == "pytorch":
        loader = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=32, shuffle=True)
        generator = PyTorchDataGenerator(loader, size=96, batch_size=32)
    else:
        generator = RandomizedDataGenerator(x, y, batch_size=32, randomization=BRIGHT, seed=0)
    classifier = trainable(rate=0.1)
    before = robust_accuracy(classifier)
    inputs = Inputs(classifier.model)
    trainer_of(classifier, objective="madry").fit_generator(generator, nb_epochs=12)
    assert len(inputs.trained) == 12 * -(-generator.size // 32)
    assert robust_accuracy(classifier) > before + 0.2


@pytest.mark.parametrize("attack", [FGSM, AutoPGD, PGD])
def test_every_gradient_attack_trains(attack) -> None:
    classifier = trainable()
    options = {} if attack is FGSM else {"max_iter": 2, "verbose": False}
    trainer = DomainAdversarialTrainer(classifier, attack(classifier, eps=EPS, **options), verbose=False)
    start = weights(classifier)
    trainer.fit(*corners(16), batch_size=8, nb_epochs=1)
    assert differs(start, weights(classifier))


@pytest.mark.parametrize("norm", [1, 2, np.inf])
@pytest.mark.parametrize("objective", ["fast", "free"])
def test_one_step_training_keeps_the_ball_of_every_norm(norm: float, objective: str) -> None:
    classifier = trainable()
    inputs = Inputs(classifier.model)
    trainer = trainer_of(classifier, objective=objective)
    trainer.attack = PGD(classifier, norm, eps=0.5, eps_step=0.1, max_iter=1, verbose=False)
    x, y = corners(16)
    trainer.fit_generator(NumpyDataGenerator(x, y, batch_size=16), nb_epochs=1)
    for shown in inputs.trained:
        distance = torch.linalg.vector_norm((shown - torch.from_numpy(x)).flatten(1), norm, dim=1)
        assert float(distance.max()) <= 0.5 + 1e-5
    assert float(distance.max()) > 0.25


# As found


def surroundings(trainer) -> dict:
    classifier = trainer.classifier
    return {
        "flags": [module.training for module in classifier.model.modules()],
        "grads": [p.requires_grad for p in classifier.model.parameters()],
        "rates": [group["lr"] for group in classifier.optimizer.param_groups],
        "strides": [p.stride() for p in classifier.model.parameters()],
        "attack": dict(vars(trainer.attack)),
        "torch": torch.get_rng_state().tolist(),
        "numpy": [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
        "python": random.getstate(),
    }


@pytest.mark.parametrize("failing", [False, True])
def test_everything_but_the_weights_is_as_found_also_after_an_exception(failing: bool) -> None:
    classifier = trainable(with_dropout())
    classifier.model.eval()
    classifier.model[0].train()
    classifier.model[0].bias.requires_grad_(False)
    options = {
        "eps_epochs": 2,
        "memory_format": "channels_last",
        "ema": 0.5,
        "awp": 0.01,
        "clip_norm": 1.0,
        "randomization": BRIGHT,
    }
    trainer = trainer_of(classifier, **options)
    trainer.attack.seed = 7
    before = surroundings(trainer)
    x, y = corners(32)
    if failing:
        passes = []

        def stop(module: nn.Module, _: object) -> None:
            passes.append(1)
            if len(passes) == 9:
                raise RuntimeError("stop")

        classifier.model[0].register_forward_pre_hook(stop)
        with pytest.raises(RuntimeError, match="stop"):
            trainer.fit(x, y, batch_size=16, nb_epochs=2)
    else:
        trainer.fit(x, y, batch_size=16, nb_epochs=2, validation_data=(x, y))
    assert surroundings(trainer) == before


def test_a_seed_makes_a_run_repeat_whatever_the_callers_generators_are_at() -> None:
    runs = []
    for caller in (1, 2):
        torch.manual_seed(caller)
        np.random.seed(caller)
        classifier = trainable(with_dropout())
        trainer = fit(classifier, objective="trades", randomization=BRIGHT, data=corners(16))
        runs.append((weights(classifier), trainer.history))
    assert_same(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]
    other = trainable(with_dropout())
    fit(other, objective="trades", randomization=BRIGHT, seed=1)
    assert differs(runs[0][0], weights(other))


# Arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "maddry"}, "objective must be one of"),
        ({"objective": ["madry"]}, "objective must be one of"),
        ({"objective": "madry", "weight": 6.0}, "weight must be None with objective='madry'"),
        ({"objective": "free", "awp": 0.1}, 'awp must be 0 with objective="free"'),
        ({"awp": -1}, "awp must be a number >= 0, got -1"),
        ({"ema": 1.0}, r"ema must be in \[0, 1\), got 1.0"),
        ({"clip_norm": 0}, "clip_norm must be None or a number > 0, got 0"),
        ({"replays": 0}, "replays must be an int >= 1, got 0"),
        ({"eps_epochs": 1.5}, "eps_epochs must be an int >= 0, got 1.5"),
        ({"autocast": torch.float64}, "autocast must be None, torch.bfloat16 or torch.float16"),
        ({"schedule": "linear"}, "schedule must be one of"),
        ({"automatic_ranges": True}, "randomization must be given"),
        ({"range_epochs": 2}, "randomization must be given"),
        ({"checkpoint": 5}, "checkpoint must be None, a str or a Path"),
        ({"verbose": 1}, "verbose must be a bool"),
    ],
)
def test_wrong_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trainer_of(trainable(), **options)


def test_wrong_objects_are_named() -> None:
    classifier = trainable()
    attack = PGD(classifier, eps=EPS, verbose=False)
    with pytest.raises(TypeError, match=r"lerning_rate.*the arguments are"):
        trainer_of(classifier, lerning_rate=1)
    with pytest.raises(TypeError, match=r"classifier must be .* with an optimizer"):
        DomainAdversarialTrainer(trainable(optimizer=None), attack)
    with pytest.raises(TypeError, match="attack must be an FGSM, PGD or AutoPGD"):
        DomainAdversarialTrainer(classifier, ProjectedGradientDescentPyTorch(classifier, verbose=False))
    with pytest.raises(ValueError, match="attack must be untargeted"):
        DomainAdversarialTrainer(classifier, PGD(classifier, targeted=True, verbose=False))
    with pytest.raises(ValueError, match="classifier must have a loss that is a mean"):
        trainer_of(trainable(loss=nn.CrossEntropyLoss(reduction="sum")))
    with pytest.raises(ValueError, match="classifier must be given with clip_values for a randomization"):
        trainer_of(trainable(clip_values=None), randomization=BRIGHT)


def test_wrong_data_are_named() -> None:
    trainer = trainer_of(trainable())
    x, y = corners(8)
    soft = np.full((8, 4), 0.25, dtype=np.float32)
    with pytest.raises(ValueError, match="y must hold class indices or one-hot rows, got"):
        trainer.fit(x, soft)
    with pytest.raises(ValueError, match="x must hold at least one image, got 0"):
        trainer.fit(x[:0], y[:0])
    with pytest.raises(TypeError, match="unexpected keyword argument 'epochs'"):
        trainer.fit(x, y, epochs=3)
    with pytest.raises(ValueError, match="validation_data must be a pair"):
        trainer.fit(x, y, validation_data=x)
    with pytest.raises(TypeError, match="generator must be an ART DataGenerator with a size"):
        trainer.fit_generator([(x, y)])
    with pytest.raises(ValueError, match="batch_size must be >= 1"):
        trainer.fit(x, y, batch_size=0)
    with pytest.raises(ValueError, match="y must be None where x is a Dataset or a DataLoader, which yields the lab"):
        trainer.fit(TensorDataset(torch.from_numpy(x)), y)
    with pytest.raises(TypeError, match="x must be an array of images, a torch Dataset or a DataLoader, got list"):
        trainer.fit([x], y)
    with pytest.raises(ValueError, match="y must be given, got None"):
        trainer.fit(x, None)
    with pytest.raises(ValueError, match=r"x must lie within clip_values \[0, 1\].*; divide x by 255, or set"):
        trainer_of(trainable(), randomization=BRIGHT).fit(x * 255, y)
    with pytest.raises(ValueError, match=r"x must have images of shape \(1, 8, 8\), the estimator's input_shape, got"):
        trainer.fit(x.transpose(0, 2, 3, 1), y)


def test_a_model_with_one_output_is_refused() -> None:
    model = cnn(classes=1)
    classifier = trainable(model, nb_classes=2, loss=nn.BCEWithLogitsLoss())
    trainer = trainer_of(classifier, objective="free")
    with pytest.raises(ValueError, match=r"classifier must return a tensor of class scores \(B, K\), K >= 2"):
        trainer.fit(*(part % 2 if part.ndim == 1 else part for part in corners(8)), nb_epochs=1)
